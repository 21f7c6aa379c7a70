"""Confinement of the calling process, for good: Landlock, seccomp, no privileges. Linux, x86-64 and aarch64.

Standard library only. The zygote loads this file and calls `apply` in each worker that it forks; run as a program
it confines itself, tries what must fail, and prints what it found as JSON.

Three layers, because each has holes that another closes:

- *Landlock* says which files may be opened, moved or made, and (from ABI 6 of the kernel's interface) that signals
  and abstract sockets stay inside. It says nothing about stat, chmod, chown, times, extended attributes, UDP,
  netlink, sockets that are files, or shared memory of System V.
- *seccomp* takes away the system calls that Landlock does not look at, and those that could undo the rest: sockets,
  changes of rights and times, tracing, signals to others, namespaces, mounts, io_uring, and, unless a worker may
  have processes, fork and exec. `setsid` and `setpgid` are refused always: all that a worker starts stays in its
  process group, which the kernel kills as one, so that not even a fork bomb escapes.
- *Capabilities* are dropped, so that root is confined as anybody else.

Covered: reading or writing what was not granted; the parent's environment and memory; networks (unless granted);
signals to other processes; leaving the process group.
Not covered: the names, sizes and times of files (stat works everywhere); processor time within a deadline; with
network granted, every host; names in a folder that is watched by inotify; as root with processes granted, the number of
processes, and everybody's memory through shared memory or children, for the second in which `bounds` finds them; holes
in the kernel.

Why root's processes are not counted by the kernel: it exempts user 0 of the machine from RLIMIT_NPROC, in a user namespace
too (tried: mapped to itself it forks on), and another number for it would lose root's own files or, as real user only,
make shells give up their rights. A pids cgroup would do, where one may be made: containers seldom allow it.

Sources: kernel.org Documentation/userspace-api/{landlock,seccomp_filter}.rst, include/uapi/linux/landlock.h,
arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import sys
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 1, 4, 22, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 36, 38, 47, 4

PROGRAMS = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/opt", "/nix/store")
"""Software, which holds no secrets, and which interpreters and their libraries are part of."""

SETTINGS = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime", "/etc/timezone",
    "/etc/mime.types", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/proc/cpuinfo", "/proc/meminfo",
    "/sys/devices/system/cpu",
)  # fmt: skip
ACCOUNTS = (
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/gitconfig",
)  # programs ask who they run as
NAMES = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
)
DEVICES = ("/dev/zero", "/dev/random", "/dev/urandom")


def apply(start: dict[str, Any], abi: int | None = None) -> None:
    """Confine this process as a worker's `start` frame says. Raises OSError when a layer can't be had.

    The process has to be single-threaded. `abi` pretends an older kernel's Landlock.
    """
    grants = start["grants"]
    abi = landlock_abi() if abi is None else abi
    _check(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _drop_capabilities()
    _landlock(_rules(start), abi, network=grants["network"])
    _seccomp(_program(abi, network=grants["network"], processes=grants["processes"]))
    _try_what_must_fail(start)


def obstacle() -> str:
    """Why `apply` can't work on this machine, as far as can be told without applying it; empty when it may."""
    if _MACHINE not in _AUDIT_ARCH:
        return f"no list of system calls for `{_MACHINE}`"
    try:
        landlock_abi()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def landlock_abi() -> int:
    """Version of the kernel's Landlock. Raises OSError when it has none, or none that is turned on."""
    abi = _LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if abi < 1:
        reason = os.strerror(ctypes.get_errno())
        raise OSError(errno.ENOSYS, f"this kernel has no Landlock, or it is turned off ({reason})")
    return int(abi)


def hide_memory() -> None:
    """Close this process's environment and memory to other processes of the same user."""
    _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent ends."""
    _check(_LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "child_subreaper")


def die_with(parent: int) -> None:
    """Be killed when the parent ends, also when it has ended already."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _try_what_must_fail(start: dict[str, Any]) -> None:
    """Fail closed: a kernel that took the rules and does not follow them is not to be relied on."""
    for path in ("/proc/1/environ", "/proc/self/environ", "/"):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        os.close(fd)
        if "/" not in (*start["grants"]["read"], *start["grants"]["write"]):
            raise OSError(errno.EPERM, f"Landlock took the rules but `{path}` can still be read")
    if _LIBC.syscall(_NUMBERS["ptrace"], 0, 0, 0, 0) != -1 or ctypes.get_errno() != errno.EPERM:
        raise OSError(errno.EPERM, "seccomp took the filter but ptrace is still allowed")


# ---------------------------------------------------------------------------------------------- capabilities


def _drop_capabilities() -> None:
    """Leave no capability, and none to come back with a program that root starts."""
    for number in range(64):
        if _LIBC.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) < 0 and ctypes.get_errno() == errno.EINVAL:
            break  # the kernel's last one is behind us; EPERM: an ordinary user, who has none to drop
    _LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = struct.pack("=II", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    _check(_LIBC.syscall(_NUMBERS["capset"], header, bytes(24)), "capset")


# ---------------------------------------------------------------------------------------------- Landlock

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on both machines

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _READ_FILE | _READ_DIR
_NET_RIGHTS = 3  # bind and connect TCP
_SCOPES = 3  # abstract sockets and signals


def _rules(start: dict[str, Any]) -> list[tuple[str, int]]:
    """Paths and what may be done beneath them."""
    grants = start["grants"]
    execute = _EXECUTE if grants["processes"] else 0
    rules = [(path, _READ | _EXECUTE) for path in software()]
    rules += [(path, _READ) for path in (*system_files(grants["network"], grants["processes"]), *DEVICES)]
    rules += [(path, _READ | execute) for path in grants["read"]]
    rules += [("/dev/null", _READ | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV)]
    if start.get("blobs"):
        # Files whose names are hashes of what they hold: to read one is to know its name, and nothing lists them.
        rules.append((start["blobs"], _READ_FILE))
    everything = (1 << 16) - 1
    no_programs = everything if execute else everything & ~_EXECUTE
    rules += [(path, no_programs) for path in (start["scratch"], *grants["write"])]
    return rules


def software() -> tuple[str, ...]:
    """Where programs and this Python lie."""
    return (*PROGRAMS, sys.prefix, sys.base_prefix, sys.exec_prefix, *_import_roots())


def system_files(network: bool, processes: bool) -> tuple[str, ...]:
    """Files of the system, besides software, that a worker may read."""
    return (*SETTINGS, *(ACCOUNTS if processes else ()), *(NAMES if network else ()))


def _import_roots() -> list[str]:
    """Folders that installed packages are imported from: site-packages may lie outside the prefix."""
    return [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]


def _landlock(rules: list[tuple[str, int]], abi: int, network: bool) -> None:
    handled = (1 << (13 if abi < 2 else 14 if abi < 3 else 15 if abi < 5 else 16)) - 1
    net = 0 if network or abi < 4 else _NET_RIGHTS
    attributes = struct.pack("=QQQ", handled, net, _SCOPES if abi >= 6 else 0)
    attributes = attributes[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = _check(
        _LIBC.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0), "landlock"
    )
    for path, rights in rules:
        _allow(ruleset, path, rights & handled)
    _check(_LIBC.syscall(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there, or can't be reached, needs no rule
    try:
        if not os.path.isdir(path):
            rights &= _FILE_RIGHTS
        rule = struct.pack("=Qi", rights, fd)
        _check(_LIBC.syscall(_ADD_RULE, ruleset, 1, rule, 0), f"landlock_add_rule `{path}`")
    finally:
        os.close(fd)


# ---------------------------------------------------------------------------------------------- seccomp

_MACHINE = os.uname().machine  # `platform` would say the same, and takes milliseconds to import
_TABLE = """
ptrace 101 117            process_vm_readv 310 270  process_vm_writev 311 271 pidfd_getfd 438 438
kcmp 312 272              process_madvise 440 440   userfaultfd 323 282       perf_event_open 298 241
chmod 90 -                fchmod 91 52              fchmodat 268 53           fchmodat2 452 452
chown 92 -                fchown 93 55              lchown 94 -               fchownat 260 54
utime 132 -               utimes 235 -              futimesat 261 -           utimensat 280 88
setxattr 188 5            lsetxattr 189 6           fsetxattr 190 7           setxattrat 463 463
removexattr 197 14        lremovexattr 198 15       fremovexattr 199 16       removexattrat 466 466
file_setattr 469 469      mknod 133 -               mknodat 259 33            name_to_handle_at 303 264
mount 165 40              umount2 166 39            pivot_root 155 41         chroot 161 51
move_mount 429 429        open_tree 428 428         fsopen 430 430            fsconfig 431 431
fsmount 432 432           fspick 433 433            mount_setattr 442 442     open_tree_attr 467 467
unshare 272 97            setns 308 268             open_by_handle_at 304 265 fanotify_init 300 262
bpf 321 280               io_uring_setup 425 425    io_uring_enter 426 426    io_uring_register 427 427
keyctl 250 219            add_key 248 217           request_key 249 218       personality 135 92
setsid 112 157            setpgid 109 154           capset 126 91             prlimit64 302 261
init_module 175 105       finit_module 313 273      delete_module 176 106     kexec_load 246 104
kexec_file_load 320 294   reboot 169 142            swapon 167 224            swapoff 168 225
acct 163 89               quotactl 179 60           quotactl_fd 443 443       syslog 103 116
iopl 172 -                ioperm 173 -              modify_ldt 154 -          lookup_dcookie 212 18
sethostname 170 161       setdomainname 171 162     settimeofday 164 170      clock_settime 227 112
adjtimex 159 171          clock_adjtime 305 266     vhangup 153 58            nfsservctl 180 42
pidfd_send_signal 424 424 rt_sigqueueinfo 129 138   rt_tgsigqueueinfo 297 240 kill 62 129
tkill 200 130             tgkill 234 131            socket 41 198             fork 57 -
vfork 58 -                clone 56 220              clone3 435 435            execve 59 221
execveat 322 281          ioctl 16 29               prctl 157 167             truncate 76 45
open 2 -                  openat 257 56             openat2 437 437           socketpair 53 199
memfd_create 319 279      memfd_secret 447 447      mq_open 240 180           fcntl 72 25
shmget 29 194             shmat 30 196              shmctl 31 195             msgget 68 186
msgsnd 69 189             msgrcv 70 188             msgctl 71 187             semget 64 190
semop 65 193              semtimedop 220 192        semctl 66 191             ioprio_set 251 30
setpriority 141 140       sched_setparam 142 118    sched_setscheduler 144 119 sched_setaffinity 203 122
sched_setattr 314 274
"""


def _numbers() -> dict[str, int]:
    column = {"x86_64": 1, "aarch64": 2}.get(_MACHINE)
    words = _TABLE.split()
    rows = [words[at : at + 3] for at in range(0, len(words), 3)]
    return {row[0]: int(row[column]) for row in rows if column and row[column] != "-"}


_NUMBERS = _numbers()
_LAST_NUMBER = 470  # the newest system call that this table's author looked at
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# What is refused always, to everybody.
_REFUSED = set(_NUMBERS) - {
    "kill", "tkill", "tgkill", "socket", "socketpair", "fork", "vfork", "clone", "clone3", "execve", "execveat",
    "ioctl", "prctl", "prlimit64", "truncate", "open", "openat", "openat2", "pidfd_send_signal", "rt_sigqueueinfo",
    "rt_tgsigqueueinfo", "fcntl", "setpriority", "ioprio_set", "sched_setparam", "sched_setscheduler", "sched_setaffinity",
    "sched_setattr",
}  # fmt: skip

_NAMESPACES = 0x7E020080  # CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID, -NET, -TIME
_CLONE_THREAD = 0x10000
_F_SET_OWNER = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX
_ALL_BITS = 0xFFFFFFFF
_ALLOW, _EPERM, _ENOSYS, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _BITS, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _ARCH = 0, 4


class _Program(list[bytes]):
    """Instructions of a classic BPF filter."""

    def add(self, code: int, value: int, jump_true: int = 0, jump_false: int = 0) -> None:
        self.append(struct.pack("=HBBI", code, jump_true, jump_false, value & 0xFFFFFFFF))

    def refuse(self, name: str, action: int = _EPERM) -> None:
        """Return the action for this system call."""
        if name in _NUMBERS:
            self.add(_EQUAL, _NUMBERS[name], 0, 1)
            self.add(_RETURN, action)

    def refuse_if(self, name: str, argument: int, tests: list[tuple[int, int]], action: int = _EPERM) -> None:
        """Return the action when a test of the argument's lower half is true, else go on with the next call.

        A test is (_EQUAL or _BITS, value).
        """
        if name not in _NUMBERS:
            return
        n_tests = len(tests)
        self.add(_EQUAL, _NUMBERS[name], 0, n_tests + 3)
        self.add(_LOAD, 16 + 8 * argument)
        for number, (test, value) in enumerate(tests):
            self.add(test, value, n_tests - number, 0)
        self.add(_RETURN, _ALLOW)
        self.add(_RETURN, action)

    def refuse_unless(self, name: str, *tests: tuple[int, list[int], int]) -> None:
        """EPERM unless each argument is, in those bits of its lower half that count, one of its values.

        A test is (argument, values, bits that count).
        """
        if name not in _NUMBERS:
            return
        self.add(_EQUAL, _NUMBERS[name], 0, sum(len(values) + 3 for _, values, _ in tests) + 1)
        for argument, values, bits in tests:
            self.add(_LOAD, 16 + 8 * argument)
            self.add(_AND, bits)
            for number, value in enumerate(values):
                self.add(_EQUAL, value, len(values) - number, 0)
            self.add(_RETURN, _EPERM)
        self.add(_RETURN, _ALLOW)


def _program(abi: int, network: bool, processes: bool) -> bytes:
    program = _Program()
    program.add(_LOAD, _ARCH)
    program.add(_EQUAL, _AUDIT_ARCH[_MACHINE], 1, 0)
    program.add(_RETURN, _KILL)
    program.add(_LOAD, _NUMBER)
    program.add(_AT_LEAST, 0x40000000, 0, 1)  # the x32 numbering, which would pass by the rest
    program.add(_RETURN, _KILL)
    program.add(_AT_LEAST, _LAST_NUMBER + 1, 0, 1)  # newer than this list
    program.add(_RETURN, _ENOSYS)
    for name in sorted(_REFUSED):
        program.refuse(name)
    _signals(program, abi, processes)
    _sockets(program, network)
    _processes(program, processes)
    _truncation(program, abi)
    # TIOCSTI, TIOCLINUX: typing for the user. FIOSETOWN, SIOCSPGRP: see `_signals`.
    program.refuse_if("ioctl", 1, [(_EQUAL, 0x5412), (_EQUAL, 0x541C), (_EQUAL, 0x8901), (_EQUAL, 0x8902)])
    program.refuse_if("prctl", 0, [(_EQUAL, _PR_SET_PDEATHSIG)])  # it has to die with its parent
    _own_turn(program)
    program.add(_RETURN, _ALLOW)
    return b"".join(program)


def _own_turn(program: _Program) -> None:
    """Limits and turns at the processor and the disk: its own only. The kernel lets one change those of its user."""
    for name in ("prlimit64", "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr"):
        program.refuse_unless(name, (0, [0, os.getpid()], _ALL_BITS))
    for name in ("setpriority", "ioprio_set"):  # of a process (0, 1), not of a group or a user
        kind = 0 if name == "setpriority" else 1
        program.refuse_unless(name, (0, [kind], _ALL_BITS), (1, [0, os.getpid()], _ALL_BITS))


def _signals(program: _Program, abi: int, processes: bool) -> None:
    """Signals to itself only; with processes, to those of its own too, which only Landlock can tell apart.

    Who owns a descriptor is sent a signal when something arrives there, which may be any: nobody is made its owner.
    """
    program.refuse_if("fcntl", 1, [(_EQUAL, one) for one in _F_SET_OWNER])
    if processes and abi >= 6:
        return
    for name in ("pidfd_send_signal", "rt_tgsigqueueinfo", "tkill"):
        program.refuse(name)
    own = [0, os.getpid()]  # 0 is its own process group, in which there is nobody else
    for name in ("kill", "rt_sigqueueinfo"):
        program.refuse_unless(name, (0, own[1:] if processes else own, _ALL_BITS))
    if not processes:  # programs send themselves SIGABRT like this, under numbers that are not known now
        program.refuse_unless("tgkill", (0, own[1:], _ALL_BITS))


def _sockets(program: _Program, network: bool) -> None:
    """Pairs of sockets always, internet sockets when granted; never sockets that are files, as docker's is.

    Pairs of streams and of packets: one of datagrams (or raw, which is the same) can send to any socket file by its name.
    """
    program.refuse_unless("socketpair", (0, [1], _ALL_BITS), (1, [1, 5], 0xF))
    if network:
        program.refuse_unless("socket", (0, [2, 10], _ALL_BITS))
    else:
        program.refuse("socket")


def _processes(program: _Program, processes: bool) -> None:
    # The arguments of clone3 lie in memory, where a filter can't look; libc falls back to clone on ENOSYS.
    program.refuse("clone3", _ENOSYS)
    if processes:
        program.refuse_if("clone", 0, [(_BITS, _NAMESPACES)])
        return
    for name in ("fork", "vfork", "execve", "execveat"):
        program.refuse(name)
    if "clone" in _NUMBERS:
        program.add(_EQUAL, _NUMBERS["clone"], 0, 4)
        program.add(_LOAD, 16)
        program.add(_BITS, _CLONE_THREAD, 1, 0)
        program.add(_RETURN, _EPERM)
        program.add(_RETURN, _ALLOW)


def _truncation(program: _Program, abi: int) -> None:
    """Before ABI 3, Landlock lets a file that may only be read be cut short."""
    if abi >= 3:
        return
    program.refuse("truncate")
    program.refuse("openat2", _ENOSYS)
    for name, argument in (("open", 1), ("openat", 2)):
        if name in _NUMBERS:
            program.add(_EQUAL, _NUMBERS[name], 0, 5)
            program.add(_LOAD, 16 + 8 * argument)
            program.add(_AND, os.O_TRUNC | os.O_ACCMODE)
            program.add(_EQUAL, os.O_TRUNC | os.O_RDONLY, 0, 1)
            program.add(_RETURN, _EPERM)
            program.add(_RETURN, _ALLOW)


def _seccomp(program: bytes) -> None:
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    _check(_LIBC.prctl(_PR_SET_SECCOMP, 2, filter_, 0, 0), "seccomp")


# ---------------------------------------------------------------------------------------------- probe


def _probe() -> dict[str, Any]:
    """What works here: confines this process, which tries what must fail."""
    if reason := obstacle():
        return {"works": False, "reason": reason, "abi": 0}
    abi = 0
    try:
        abi = landlock_abi()
        grants = {"read": [], "write": [], "network": False, "processes": False}
        apply({"grants": grants, "scratch": os.getcwd()})
    except OSError as error:
        return {"works": False, "reason": error.strerror or str(error), "abi": abi}
    return {"works": True, "reason": "", "abi": abi}


if __name__ == "__main__":
    import json

    sys.stdout.write(json.dumps(_probe()))
