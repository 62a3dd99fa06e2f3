// SPDX-License-Identifier: Apache-2.0
// A world that stands still, preloaded into the program that makes components of Python environments.
//
// A component is an image of the memory of an interpreter that has imported the environment. Whatever the interpreter saw
// on its way is in it, so that for equal inputs to give equal bytes it must see equal things: the same random bytes, the
// same time, and files without times and identities of their own. The first two are functions of the C library that are
// replaced here. The program asks for the state of files without that library; a filter of system calls catches that.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

// In an argument that `statx` does not have: the call is ours, let it through.
#define OURS 0x67796d68u
// 2026-01-01.
#define NOW 1767225600

ssize_t getrandom(void *buffer, size_t length, unsigned flags) {
    (void)flags;
    for (size_t i = 0; i < length; i++) ((unsigned char *)buffer)[i] = (unsigned char)(i * 31 + 7);
    return (ssize_t)length;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    (void)clock;
    time->tv_sec = NOW;
    time->tv_nsec = 0;
    return 0;
}

static void level(struct statx *file) {
    memset(&file->stx_atime, 0, sizeof file->stx_atime);
    memset(&file->stx_btime, 0, sizeof file->stx_btime);
    memset(&file->stx_ctime, 0, sizeof file->stx_ctime);
    memset(&file->stx_mtime, 0, sizeof file->stx_mtime);
    file->stx_ino = 1;
    file->stx_dev_major = 0;
    file->stx_dev_minor = 1;
    if (S_ISDIR(file->stx_mode)) {
        file->stx_size = 0;
        file->stx_blocks = 0;
        file->stx_nlink = 1;
    }
}

static void on_statx(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)info;
    mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
#if defined(__x86_64__)
    greg_t *r = machine->gregs;
    long arguments[5] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8]};
    greg_t *result = &r[REG_RAX];
#elif defined(__aarch64__)
    unsigned long long *r = machine->regs;
    long arguments[5] = {(long)r[0], (long)r[1], (long)r[2], (long)r[3], (long)r[4]};
    unsigned long long *result = &r[0];
#else
#error "the registers of system calls are known for x86-64 and aarch64"
#endif
    int kept = errno;
    long done = syscall(SYS_statx, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], OURS);
    if (done == 0) level((struct statx *)arguments[4]);
    *result = done == 0 ? 0 : -errno;
    errno = kept;
}

// Where filters are not allowed the program runs without: the component is as good, only not the same every time.
__attribute__((constructor)) static void begin(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_statx;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART;
    if (sigaction(SIGSYS, &action, NULL) != 0) return;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_statx, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OURS, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
