//! The filter of system calls that a confined script runs under, as a program for the kernel's
//! classic BPF (`seccomp(2)`).
//!
//! What it refuses fails with an error number that programs know how to live with. It is a list of
//! what is refused, not of what is allowed: scripts run whatever is on the machine. Calls that are
//! newer than the list are refused as not implemented.

use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JGE, BPF_JMP,
    BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO,
    SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_USER_NOTIF, c_int, c_long,
};

use super::order::Refusal;
use crate::system::kernel::Instruction;

/// This machine's kind, as the kernel names it to filters (`AUDIT_ARCH_*` of linux/audit.h).
#[cfg(target_arch = "x86_64")]
pub(super) const ARCHITECTURE: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
pub(super) const ARCHITECTURE: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) const ARCHITECTURE: Option<u32> = None;

/// The first number above those that are known here: `removexattrat(2)` of Linux 6.13 is 466. It
/// also refuses the x32 calls of an x86-64 kernel, whose numbers begin at 1 << 30.
const FIRST_UNKNOWN: u32 = 467;

/// Refused with `EPERM`, as without the capability that most of them need, by what they lead to.
const REFUSED: &[(Refusal, &[c_long])] = &[
    (
        Refusal::Mount,
        &[
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_move_mount,
            libc::SYS_open_tree,
            libc::SYS_fsopen,
            libc::SYS_fsconfig,
            libc::SYS_fsmount,
            libc::SYS_fspick,
            libc::SYS_mount_setattr,
        ],
    ),
    (Refusal::Namespace, &[libc::SYS_unshare, libc::SYS_setns]),
    (
        Refusal::OtherProcess,
        &[
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_process_madvise,
            libc::SYS_kcmp,
            libc::SYS_pidfd_getfd,
        ],
    ),
    // Past every view.
    (Refusal::FileHandle, &[libc::SYS_open_by_handle_at]),
    (
        Refusal::Kernel,
        &[
            libc::SYS_add_key,
            libc::SYS_request_key,
            libc::SYS_keyctl,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_userfaultfd,
            libc::SYS_init_module,
            libc::SYS_finit_module,
            libc::SYS_delete_module,
            libc::SYS_kexec_load,
            libc::SYS_kexec_file_load,
            libc::SYS_reboot,
            libc::SYS_swapon,
            libc::SYS_swapoff,
            libc::SYS_acct,
            libc::SYS_quotactl,
            libc::SYS_fanotify_init,
            libc::SYS_settimeofday,
            libc::SYS_clock_settime,
            libc::SYS_clock_adjtime,
            libc::SYS_adjtimex,
            libc::SYS_sethostname,
            libc::SYS_setdomainname,
            libc::SYS_vhangup,
        ],
    ),
];

/// Refused with `EPERM`, and no evidence: programs that find these missing do without.
const DISPENSABLE: &[c_long] = &[
    // Calls that this filter would not see.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_name_to_handle_at,
];

/// Refused with `EPERM` where the script shares the machine's IPC namespace: what these make stays
/// there after the script, and what they remove belongs to other processes of the same user.
const OF_SHARED_IPC: &[c_long] = &[
    libc::SYS_shmget,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_msgctl,
    libc::SYS_semget,
    libc::SYS_semctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

/// Refused as not implemented: programs know what to do on a kernel that is older.
const NOT_IMPLEMENTED: &[c_long] = &[
    // Its flags are in memory, where a filter cannot look; who finds it missing uses clone.
    libc::SYS_clone3,
    // Memory that belongs to no process, where nobody counts it.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
];

/// Calls that give a socket an address.
const ADDRESSED: [c_long; 2] = [libc::SYS_connect, libc::SYS_bind];

/// Flags of `clone(2)` that make namespaces.
const NAMESPACES: c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;
/// Commands of `ioctl(2)` that type into a terminal.
const TERMINAL: [u32; 2] = [0x5412, 0x541c]; // TIOCSTI, TIOCLINUX
/// The bits of a socket's type that are not flags.
pub(super) const SOCKET_TYPE: u32 = 0xf;

// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// Of the lower half of an argument.
const fn argument(index: u32) -> u32 {
    16 + 8 * index + if cfg!(target_endian = "big") { 4 } else { 0 }
}

/// What the init of a script hears of the calls that are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Nothing: the kernel refuses them by itself.
    None,
    /// The kernel asks the init about each of them.
    Refusals,
    /// The same, and about each connection, so that local sockets are known by their paths.
    Paths,
}

/// A filter that allows everything, to find out what the kernel can.
pub(super) fn open() -> Vec<Instruction> {
    vec![end(SECCOMP_RET_ALLOW)]
}

/// The filter, for a script with or without an IPC namespace of its own; none for a kind of machine
/// whose numbers are not known here.
pub(super) fn program(shares_ipc: bool, evidence: Evidence) -> Option<Vec<Instruction>> {
    let architecture = ARCHITECTURE?;
    let asked = |otherwise| match evidence {
        Evidence::None => otherwise,
        Evidence::Refusals | Evidence::Paths => end(SECCOMP_RET_USER_NOTIF),
    };
    let refuse_and_say = |error| asked(refuse(error));
    let mut program = vec![
        load(ARCH),
        // Calls of another ABI (i386) have other numbers, and may not get any further.
        jump(BPF_JEQ, architecture, 1, 0),
        asked(end(SECCOMP_RET_KILL_PROCESS)),
        load(NUMBER),
        jump(BPF_JGE, FIRST_UNKNOWN, 0, 1),
        refuse(libc::ENOSYS),
    ];
    let of_ipc = if shares_ipc { OF_SHARED_IPC } else { &[] };
    for call in REFUSED.iter().flat_map(|(_, calls)| *calls).chain(of_ipc) {
        program.extend([jump(BPF_JEQ, number(*call), 0, 1), refuse_and_say(libc::EPERM)]);
    }
    for (calls, error) in [(DISPENSABLE, libc::EPERM), (NOT_IMPLEMENTED, libc::ENOSYS)] {
        for call in calls {
            program.extend([jump(BPF_JEQ, number(*call), 0, 1), refuse(error)]);
        }
    }
    if evidence == Evidence::Paths {
        for call in ADDRESSED {
            program.extend([jump(BPF_JEQ, number(call), 0, 1), end(SECCOMP_RET_USER_NOTIF)]);
        }
    }
    only_for(
        &mut program,
        libc::SYS_clone,
        &[
            load(argument(0)),
            jump(BPF_JSET, NAMESPACES.cast_unsigned(), 0, 1),
            refuse_and_say(libc::EPERM),
        ],
    );
    // No sockets but those of the network and of its settings: systemd, D-Bus, docker, containerd
    // and all other services of this machine listen on AF_UNIX. No raw ones of the network, which
    // the script has no capability for, but a program of its might have.
    only_for(
        &mut program,
        libc::SYS_socket,
        &[
            load(argument(0)),
            jump(BPF_JEQ, AF_NETLINK.cast_unsigned(), 6, 0),
            jump(BPF_JEQ, AF_INET.cast_unsigned(), 2, 0),
            jump(BPF_JEQ, AF_INET6.cast_unsigned(), 1, 0),
            refuse_and_say(libc::EAFNOSUPPORT),
            load(argument(1)),
            statement(BPF_ALU | BPF_AND | BPF_K, SOCKET_TYPE),
            jump(BPF_JEQ, libc::SOCK_RAW.cast_unsigned(), 1, 0),
            end(SECCOMP_RET_ALLOW),
            refuse_and_say(libc::EPERM),
        ],
    );
    // A pair of datagram sockets could be connected to a service afterwards.
    only_for(
        &mut program,
        libc::SYS_socketpair,
        &[
            load(argument(0)),
            jump(BPF_JEQ, AF_UNIX.cast_unsigned(), 0, 4),
            load(argument(1)),
            statement(BPF_ALU | BPF_AND | BPF_K, SOCKET_TYPE),
            jump(BPF_JEQ, libc::SOCK_STREAM.cast_unsigned(), 2, 0),
            jump(BPF_JEQ, libc::SOCK_SEQPACKET.cast_unsigned(), 1, 0),
            refuse_and_say(libc::EAFNOSUPPORT),
        ],
    );
    let [sti, linux] = TERMINAL;
    only_for(
        &mut program,
        libc::SYS_ioctl,
        &[
            load(argument(1)),
            jump(BPF_JEQ, sti, 1, 0),
            jump(BPF_JEQ, linux, 0, 1),
            refuse_and_say(libc::EPERM),
        ],
    );
    program.push(end(SECCOMP_RET_ALLOW));
    Some(program)
}

/// What this call is refused as, whatever its arguments are.
pub(super) fn refusal_of(call: c_long) -> Option<Refusal> {
    let mut groups = REFUSED.iter();
    let group = groups.find(|(_, calls)| calls.contains(&call)).map(|(what, _)| what.clone());
    group.or_else(|| OF_SHARED_IPC.contains(&call).then_some(Refusal::SharedIpc))
}

/// Instructions for one call alone; what does not return from them is allowed.
fn only_for(program: &mut Vec<Instruction>, call: c_long, body: &[Instruction]) {
    let past = u8::try_from(body.len() + 1).unwrap_or(u8::MAX);
    program.push(jump(BPF_JEQ, number(call), 0, past));
    program.extend_from_slice(body);
    program.push(end(SECCOMP_RET_ALLOW));
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn statement(code: u32, value: u32) -> Instruction {
    Instruction { code: u16::try_from(code).unwrap_or(u16::MAX), jt: 0, jf: 0, k: value }
}

fn load(offset: u32) -> Instruction {
    statement(BPF_LD | BPF_W | BPF_ABS, offset)
}

fn jump(condition: u32, value: u32, if_so: u8, if_not: u8) -> Instruction {
    Instruction { jt: if_so, jf: if_not, ..statement(BPF_JMP | condition | BPF_K, value) }
}

fn end(action: u32) -> Instruction {
    statement(BPF_RET | BPF_K, action)
}

fn refuse(error: c_int) -> Instruction {
    end(SECCOMP_RET_ERRNO | error.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would, for what it is made of.
    fn answer(architecture: u32, number: u32, arguments: [u32; 6]) -> u32 {
        run(&program(false, Evidence::None).unwrap(), architecture, number, arguments)
    }

    fn run(program: &[Instruction], architecture: u32, number: u32, arguments: [u32; 6]) -> u32 {
        let word = |offset: u32| match offset {
            NUMBER => number,
            ARCH => architecture,
            offset => arguments[usize::try_from((offset - 16) / 8).unwrap()],
        };
        let (mut at, mut value) = (0, 0);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let mut decide = |so: bool| at += usize::from(if so { jt } else { jf });
            match u32::from(code) {
                code if code == BPF_LD | BPF_W | BPF_ABS => value = word(k),
                code if code == BPF_ALU | BPF_AND | BPF_K => value &= k,
                code if code == BPF_JMP | BPF_JEQ | BPF_K => decide(value == k),
                code if code == BPF_JMP | BPF_JGE | BPF_K => decide(value >= k),
                code if code == BPF_JMP | BPF_JSET | BPF_K => decide(value & k != 0),
                code if code == BPF_RET | BPF_K => return k,
                code => panic!("{code:#x} at {at}"),
            }
        }
    }

    #[test]
    fn filter_refuses_what_leads_out_of_confinement() {
        let ours = ARCHITECTURE.unwrap();
        let call = |call: c_long, arguments: [c_int; 2]| {
            let [a, b] = arguments.map(c_int::cast_unsigned);
            answer(ours, number(call), [a, b, 0, 0, 0, 0])
        };
        let error = |error: c_int| SECCOMP_RET_ERRNO | error.cast_unsigned();
        for refused in REFUSED.iter().flat_map(|(_, calls)| *calls).chain(DISPENSABLE) {
            assert_eq!(call(*refused, [0, 0]), error(libc::EPERM), "{refused}");
        }
        for (number, arguments, expected) in [
            (libc::SYS_clone3, [0, 0], error(libc::ENOSYS)),
            (libc::SYS_memfd_create, [0, 0], error(libc::ENOSYS)),
            (libc::SYS_clone, [libc::CLONE_NEWUSER | libc::SIGCHLD, 0], error(libc::EPERM)),
            (libc::SYS_clone, [libc::CLONE_VM | libc::SIGCHLD, 0], SECCOMP_RET_ALLOW),
            (libc::SYS_socket, [AF_UNIX, libc::SOCK_DGRAM], error(libc::EAFNOSUPPORT)),
            (libc::SYS_socket, [libc::AF_VSOCK, libc::SOCK_STREAM], error(libc::EAFNOSUPPORT)),
            (libc::SYS_socket, [AF_INET, libc::SOCK_STREAM], SECCOMP_RET_ALLOW),
            (libc::SYS_socket, [AF_INET6, libc::SOCK_DGRAM], SECCOMP_RET_ALLOW),
            (libc::SYS_socket, [AF_NETLINK, libc::SOCK_RAW], SECCOMP_RET_ALLOW),
            (libc::SYS_socket, [AF_INET, libc::SOCK_RAW], error(libc::EPERM)),
            (libc::SYS_socket, [AF_INET6, libc::SOCK_RAW | libc::SOCK_CLOEXEC], error(libc::EPERM)),
            (
                libc::SYS_socketpair,
                [AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC],
                error(libc::EAFNOSUPPORT),
            ),
            (
                libc::SYS_socketpair,
                [AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC],
                SECCOMP_RET_ALLOW,
            ),
            (libc::SYS_socketpair, [libc::AF_TIPC, libc::SOCK_STREAM], error(libc::EAFNOSUPPORT)),
            (libc::SYS_ioctl, [1, 0x5412], error(libc::EPERM)),
            (libc::SYS_ioctl, [1, 0x541c], error(libc::EPERM)),
            (libc::SYS_ioctl, [1, 0x5413], SECCOMP_RET_ALLOW),
            (libc::SYS_execve, [0, 0], SECCOMP_RET_ALLOW),
            (libc::SYS_openat, [0, 0], SECCOMP_RET_ALLOW),
            (i64::from(FIRST_UNKNOWN), [0, 0], error(libc::ENOSYS)),
            ((1 << 30) + libc::SYS_mount, [0, 0], error(libc::ENOSYS)),
        ] {
            assert_eq!(call(number, arguments), expected, "{number} {arguments:?}");
        }
    }

    #[test]
    fn shared_ipc_is_refused_where_it_is_the_machines() {
        let architecture = ARCHITECTURE.unwrap();
        for call in OF_SHARED_IPC {
            let answer = |shares_ipc| {
                run(
                    &program(shares_ipc, Evidence::None).unwrap(),
                    architecture,
                    number(*call),
                    [0; 6],
                )
            };
            assert_eq!(answer(true), SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned());
            assert_eq!(answer(false), SECCOMP_RET_ALLOW);
        }
    }

    #[test]
    fn foreign_abi_is_killed() {
        const I386: u32 = 0x4000_0003;
        assert_eq!(answer(I386, 21, [0; 6]), SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn kernel_asks_about_refusals_and_addresses_only() {
        let architecture = ARCHITECTURE.unwrap();
        let answer = |evidence, call: c_long, first: c_int| {
            let arguments = [first.cast_unsigned(), 0, 0, 0, 0, 0];
            run(&program(false, evidence).unwrap(), architecture, number(call), arguments)
        };
        for (call, first, refusals, paths) in [
            (libc::SYS_mount, 0, SECCOMP_RET_USER_NOTIF, SECCOMP_RET_USER_NOTIF),
            (libc::SYS_socket, AF_UNIX, SECCOMP_RET_USER_NOTIF, SECCOMP_RET_USER_NOTIF),
            (libc::SYS_socket, AF_INET, SECCOMP_RET_ALLOW, SECCOMP_RET_ALLOW),
            (libc::SYS_connect, 0, SECCOMP_RET_ALLOW, SECCOMP_RET_USER_NOTIF),
            (libc::SYS_openat, 0, SECCOMP_RET_ALLOW, SECCOMP_RET_ALLOW),
        ] {
            assert_eq!(answer(Evidence::Refusals, call, first), refusals, "{call}");
            assert_eq!(answer(Evidence::Paths, call, first), paths, "{call}");
        }
        // Programs go on without these, so that they explain no failure.
        for call in DISPENSABLE.iter().chain(NOT_IMPLEMENTED) {
            let action = answer(Evidence::Paths, *call, 0) & libc::SECCOMP_RET_ACTION_FULL;
            assert_eq!(action, SECCOMP_RET_ERRNO, "{call}");
        }
    }
}
