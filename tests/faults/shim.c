/* Loaded before the C library by the fault tests: a disk that fails, and a clock that is off.
 *
 * FAULTS_FOLDER names a folder. While it holds a file "eio", writing to or syncing a file whose name contains its
 * content fails with EIO. While it holds a file "clock", the wall clock is off by the seconds in it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The content of a file in the folder of faults, by plain system calls; 0 when there is none. */
static int said(const char *name, char *content, size_t size) {
    char path[512];
    const char *folder = getenv("FAULTS_FOLDER");
    if (!folder || snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return 0;
    int before = errno;
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) { errno = before; return 0; }
    long n = syscall(SYS_read, fd, content, size - 1);
    syscall(SYS_close, fd);
    errno = before;
    if (n <= 0) return 0;
    content[n] = 0;
    return 1;
}

static int fails(int fd) {
    char wanted[256], link[64], path[512];
    if (!said("eio", wanted, sizeof wanted)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    if (!strstr(path, wanted)) return 0;
    errno = EIO;
    return 1;
}

static double off(void) {
    char seconds[64];
    return said("clock", seconds, sizeof seconds) ? atof(seconds) : 0;
}

#define FIND(name) if (!real) real = dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *data, size_t n) {
    static ssize_t (*real)(int, const void *, size_t);
    FIND("write");
    return fails(fd) ? -1 : real(fd, data, n);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    FIND("pwrite");
    return fails(fd) ? -1 : real(fd, data, n, at);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    FIND("pwrite64");
    return fails(fd) ? -1 : real(fd, data, n, at);
}

int fsync(int fd) {
    static int (*real)(int);
    FIND("fsync");
    return fails(fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
    static int (*real)(int);
    FIND("fdatasync");
    return fails(fd) ? -1 : real(fd);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    static int (*real)(struct timeval *restrict, void *restrict);
    FIND("gettimeofday");
    int answer = real(now, zone);
    now->tv_sec += (time_t)off();
    return answer;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    FIND("clock_gettime");
    int answer = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += (time_t)off();
    return answer;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}
