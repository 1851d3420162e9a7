#!/bin/bash
# A detection script that tries to leave its confinement. Prints an address if every way was
# refused, else the ways that were not. What it can write lands in files named "escaped-*".
exec 2>/dev/null
open_ways=

# The command must fail.
refused() {
    local way=$1
    shift
    if "$@" >/dev/null; then open_ways="$open_ways $way"; fi
}

# The system call (of x86-64) must fail with one of these error numbers: it is refused, and not
# only called wrongly.
call_refused() {
    local way=$1 errors=$2
    shift 2
    # shellcheck disable=SC2016
    perl -e '
        my ($errors, $number, @arguments) = @ARGV;
        @arguments = map { $_ + 0 } @arguments;
        exit 0 if syscall($number + 0, @arguments) != -1;
        my $error = $! + 0;
        exit((grep { $_ == $error } split(",", $errors)) ? 1 : 0);
    ' "$errors" "$@"
    [ $? = 1 ] || open_ways="$open_ways $way"
}

# Writing as root would: all of it must land in the view that is thrown away.
for directory in / /etc /usr /opt /root /home /srv /var /var/lib /run /dev/shm /tmp /mnt/data; do
    echo x >"$directory/escaped-write"
done
mv /opt/keep /opt/escaped-rename
rm -rf /opt/keep
chmod 0777 /etc /opt
touch -d 2001-01-01 /etc
ln /etc/passwd /etc/escaped-link
[ -p /run/fifo ] && (echo x 1<>/run/fifo)
# A file of its own user, which rights alone would let it change.
echo escaped >/srv/own
chmod 0777 /srv/own
touch -d 2001-01-01 /srv/own
rm -f /srv/own

# Through processes.
refused root-of-1 sh -c 'echo x >/proc/1/root/etc/escaped-root-of-1'
refused cwd-of-parent sh -c "echo x >/proc/$PPID/cwd/escaped-cwd"
refused environment-of-parent sh -c "grep -z . /proc/$PPID/environ"
refused environment-of-1 sh -c 'grep -z . /proc/1/environ'
refused memory-of-parent sh -c "head -c 1 /proc/$PPID/mem || : >/proc/$PPID/mem"
refused descriptors-of-parent ls "/proc/$PPID/fd/0"
refused write-descriptors-of-parent sh -c "
    for fd in /proc/$PPID/fd/*; do echo forged >>\$fd && exit 0; done; exit 1"
refused other-processes sh -c '[ "$(ls -d /proc/[0-9]* | wc -l)" -gt 8 ]'
refused inherited-descriptors sh -c '
    for fd in 3 4 5 6 7 8 9 10 11 12; do [ -e /proc/self/fd/$fd ] && exit 0; done; exit 1'
refused nsenter nsenter -t 1 -m sh -c 'echo x >/etc/escaped-nsenter'
refused kill-init sh -c 'kill -KILL 1; sleep 0.2; ! [ -d /proc/1 ]'

refused kill-neighbour pkill -f 'sleep 303.2[5]'
refused neighbour-memory sh -c 'head -c 1 "/proc/$(pgrep -f "sleep 303.2[5]")/mem"'
perl -e 'shmget(0x65736331, 4096, 01600); msgget(0x65736332, 01600); semget(0x65736333, 1, 01600)'
perl -e 'syscall(240, "escaped-queue", 0101, 0600, 0)'
[ "$(id -u)" = 0 ] || refused read-shadow head -c 1 /etc/shadow

# Through mounts and namespaces.
refused remount-root mount -o remount,bind,rw /
refused remount-file-system mount -o remount,rw /
refused remount-proc mount -o remount,rw /proc
refused remount-sys mount -o remount,bind,rw /sys
refused mount-tmpfs mount -t tmpfs none /mnt
refused mount-bind mount --bind / /mnt
refused unmount umount -l /proc
refused chroot chroot / true
refused unshare-mounts unshare -m true
refused unshare-user unshare -Ur true
refused unshare-pid unshare -fp true

# Through the kernel's files and devices.
refused proc-sys sh -c 'echo escaped >/proc/sys/kernel/domainname'
refused core-pattern sh -c ': >/proc/sys/kernel/core_pattern'
refused sysrq sh -c ': >/proc/sysrq-trigger'
refused sys sh -c ': >/sys/kernel/mm/transparent_hugepage/enabled'
refused cgroup sh -c 'mkdir /sys/fs/cgroup/escaped || mkdir /sys/fs/cgroup/*/escaped'
refused device mknod /tmp/escaped-device b 7 0
refused kernel-log sh -c 'echo escaped >/dev/kmsg'
refused terminal sh -c 'echo escaped >/dev/tty'
refused terminals ls /dev/pts/0 /dev/console /dev/ptmx

# Through services of the machine.
refused systemctl systemctl set-environment ESCAPED=1
refused systemd-run systemd-run -q sh -c 'echo x >/etc/escaped-systemd-run'
refused bus busctl list
refused logger logger --socket-errors=on -s escaped
# What is given in place of a local socket must be one of the network.
for kind in SOCK_STREAM SOCK_DGRAM SOCK_SEQPACKET; do
    refused unix-socket-$kind perl -MSocket -e "
        socket(S, AF_UNIX, $kind, 0) or exit 1;
        exit(sockaddr_family(getsockname(S)) == AF_UNIX ? 0 : 1)"
done
refused unix-send perl -MSocket -e '
    for (glob("/dev/log /run/systemd/journal/* /run/systemd/notify")) {
        exit 0 if socket(S, AF_UNIX, SOCK_DGRAM, 0) && send(S, "escaped", 0, sockaddr_un($_));
    }
    exit 1'
refused unix-connect perl -MSocket -e '
    for (glob("/run/*.sock /run/*/*.sock /run/systemd/private /run/dbus/system_bus_socket")) {
        exit 0 if socket(S, AF_UNIX, SOCK_STREAM, 0) && connect(S, sockaddr_un($_));
    }
    exit 1'
refused unix-bind perl -MSocket -e '
    socket(S, AF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un("/tmp/escaped-socket")) or exit 1'
refused datagram-pair perl -MSocket -e 'socketpair(A, B, AF_UNIX, SOCK_DGRAM, 0) or exit 1'
refused packet-socket perl -MSocket -e 'socket(S, 17, SOCK_RAW, 0) or exit 1'
refused raw-socket perl -MSocket -e 'socket(S, AF_INET, SOCK_RAW, 1) or exit 1'
refused vsock perl -MSocket -e 'socket(S, 40, SOCK_STREAM, 0) or exit 1'

# Through rights.
refused capability sh -c 'grep -E "^Cap(Inh|Prm|Eff|Amb)" /proc/self/status | grep -q ":.*[1-9a-f]"'
refused bounding-set sh -c 'grep "^CapBnd" /proc/self/status | grep -q ":.*[1-9a-f]"'
refused new-privileges sh -c '! grep -q "^NoNewPrivs:.1" /proc/self/status'
refused filter sh -c '! grep -q "^Seccomp:.2" /proc/self/status'
refused change-owner sh -c 'echo x >/tmp/escaped-owned && chown 1 /tmp/escaped-owned'
refused change-user perl -e '$> = 1; exit($> == 1 ? 0 : 1)'
refused change-hostname sh -c 'hostname escaped-name'
refused priority nice -n -5 sh -c '[ "$(nice)" -lt 0 ]'
refused route sh -c 'PATH=$PATH:/usr/sbin ip route add blackhole 203.0.113.77'

# Through system calls, each refused with EPERM (1), EAFNOSUPPORT (97) or ENOSYS (38).
if [ "$(uname -m)" = x86_64 ]; then
    call_refused ptrace 1 101 16 1 0 0
    call_refused process_vm_readv 1 310 1 0 0 0 0 0
    call_refused setns 1 308 -1 0
    call_refused clone3 38 435 0 0
    call_refused clone-namespaces 1 56 $((0x10000000 | 17)) 0 0 0 0
    call_refused mount 1 165 0 0 0 0 0
    call_refused umount2 1 166 0 0
    call_refused pivot_root 1 155 0 0
    call_refused open_tree 1 428 -100 0 0
    call_refused move_mount 1 429 -1 0 -1 0 0
    call_refused fsopen 1 430 0 0
    call_refused mount_setattr 1 442 -1 0 0 0 0
    call_refused name_to_handle_at 1 303 -1 0 0 0 0
    call_refused open_by_handle_at 1 304 -1 0 0
    call_refused io_uring_setup 1 425 1 0
    call_refused keyctl 1 250 0 -3 0
    call_refused add_key 1 248 0 0 0 0 -3
    call_refused bpf 1 321 0 0 0
    call_refused perf_event_open 1 298 0 0 0 0 0
    call_refused userfaultfd 1 323 0
    call_refused kexec_load 1 246 0 0 0 0
    call_refused init_module 1 175 0 0 0
    call_refused reboot 1 169 0 0 0 0
    call_refused swapoff 1 168 0
    call_refused acct 1 163 0
    call_refused quotactl 1 179 0 0 0 0
    call_refused clock_settime 1 227 0 0
    call_refused unknown-call 38 600
    call_refused x32-call 38 $((0x40000000 + 165)) 0 0 0 0 0
fi

# And later: no process outlives the script.
setsid sh -c 'sleep 300; : hostile-sleep' </dev/null >/dev/null &
(setsid sh -c 'trap "" TERM HUP INT
    sleep 2; echo x >/etc/escaped-late; sleep 300' </dev/null >/dev/null &)
disown -a

if [ -n "$open_ways" ]; then echo "not refused:$open_ways"; else echo 127.0.0.1; fi
