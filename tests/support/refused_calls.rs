//! A program whose system calls are refused, as a filter of a sandbox or an old kernel refuses
//! them.

#![allow(unsafe_code, reason = "a filter of system calls is set between fork and exec")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The number of a system call, and the error that answers it.
pub type Refused = (libc::c_long, i32);

/// Has these calls of the program refused, and of all that it starts.
pub fn refuse(command: &mut Command, calls: &[Refused]) {
    let filter = filter(calls);
    let load = move || {
        let program = libc::sock_fprog {
            len: u16::try_from(filter.len()).map_err(io::Error::other)?,
            filter: filter.as_ptr().cast_mut(),
        };
        // SAFETY: the program points to the filter, which lives in this closure; the kernel copies
        // it.
        let result = unsafe {
            match libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) {
                0 => {
                    libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
                }
                failed => failed,
            }
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: the closure makes two system calls and allocates nothing.
    unsafe { command.pre_exec(load) };
}

/// Loads the number of the call, answers each of these with its error, and allows all others.
fn filter(calls: &[Refused]) -> Vec<libc::sock_filter> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut filter = vec![step(LOAD, 0, 0, 0)];
    for (call, error) in calls {
        let number = u32::try_from(*call).expect("the number of a call");
        let answer = libc::SECCOMP_RET_ERRNO | u32::try_from(*error).expect("an error");
        filter.extend([step(JUMP, 0, 1, number), step(RETURN, 0, 0, answer)]);
    }
    filter.push(step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    filter
}
