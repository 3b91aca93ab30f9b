/* A layer between the processes and the system, put there by LD_PRELOAD, that does harm on demand:
   a wall clock that is wrong, writes that stall, and a ledger of what has been synced, so that all else can be lost.

   HARM names a folder with two files.  `control` is mapped: int64 nanoseconds the clock is ahead, int64 nanoseconds
   each write and sync takes longer.  `ledger` gets an entry of three int64 for each file that was synced or made anew:
   device, inode, and how many of its bytes are safe. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *control;
static int ledger = -1;
#define AHEAD control[0]
#define STALL control[1]

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("HARM");
    static int64_t none[2];
    char path[4096];
    control = none;
    if (!folder) return;
    snprintf(path, sizeof path, "%s/control", folder);
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) control = mapped;
    close(fd);
    snprintf(path, sizeof path, "%s/ledger", folder);
    ledger = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static void stall(void) {
    int64_t nanoseconds = control ? STALL : 0;
    if (nanoseconds > 0) {
        struct timespec pause = {nanoseconds / 1000000000, nanoseconds % 1000000000};
        syscall(SYS_nanosleep, &pause, NULL);
    }
}

static void note(const struct stat *file, int64_t safe) {
    int64_t entry[3] = {(int64_t)file->st_dev, (int64_t)file->st_ino, safe};
    if (ledger >= 0 && syscall(SYS_write, ledger, entry, sizeof entry) < 0) abort();
}

/* -- the clock */

static int64_t ahead(void) { return control ? AHEAD : 0; }

int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int told = real(id, at);
    if (!told && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t now = at->tv_sec * 1000000000LL + at->tv_nsec + ahead();
        at->tv_sec = now / 1000000000;
        at->tv_nsec = now % 1000000000;
    }
    return told;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *at = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

/* -- the disk */

static int synced(int fd, long call) {
    struct stat file;
    int known = !fstat(fd, &file) && S_ISREG(file.st_mode);
    stall();
    int told = syscall(call, fd);
    if (!told && known) note(&file, file.st_size);
    return told;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

static int opened(int fd, int flags) {
    struct stat file;
    if (fd >= 0 && (flags & O_CREAT) && !fstat(fd, &file) && S_ISREG(file.st_mode) && !file.st_size) note(&file, 0);
    return fd;
}

#define MODE(flags) ({ va_list more; va_start(more, flags); \
    mode_t mode = (flags) & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; va_end(more); mode; })

int open(const char *path, int flags, ...) { return opened(syscall(SYS_openat, AT_FDCWD, path, flags, MODE(flags)), flags); }
int open64(const char *path, int flags, ...) { return opened(syscall(SYS_openat, AT_FDCWD, path, flags, MODE(flags)), flags); }
int openat(int at, const char *path, int flags, ...) { return opened(syscall(SYS_openat, at, path, flags, MODE(flags)), flags); }
int openat64(int at, const char *path, int flags, ...) { return opened(syscall(SYS_openat, at, path, flags, MODE(flags)), flags); }

ssize_t pwrite64(int fd, const void *raw, size_t size, off_t place) {
    stall();
    return syscall(SYS_pwrite64, fd, raw, size, place);
}
ssize_t pwrite(int fd, const void *raw, size_t size, off_t place) { return pwrite64(fd, raw, size, place); }

ssize_t write(int fd, const void *raw, size_t size) {
    struct stat file;
    if (control && STALL > 0 && !fstat(fd, &file) && S_ISREG(file.st_mode)) stall();
    return syscall(SYS_write, fd, raw, size);
}
