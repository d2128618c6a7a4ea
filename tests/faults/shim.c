/* Stands between one process and the C library, and sees the calls that touch files below some folders. It records them with
 * their data, or lets them fail, or shifts the clock. Loaded with LD_PRELOAD; shim.py says what its variables are.
 *
 * SQLite and Python call libc for all they do with files, except what is mapped into memory (the -shm of a write-ahead log, which
 * SQLite makes anew after a crash). power.py proves that nothing else escapes: what it recorded has to explain what is there. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static char folders[8][PATH_MAX];
static int watching;
static int log_fd = -1, struck_fd = -1;
static const char *classes = "", *switch_file;
static long nth, times;
static int failure, persists, shortens;
static long clock_nth = -1, clock_times;
static time_t clock_shift;

/* Recording holds it over the call and its record, so that the order of the records is the order of the calls. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int appending(const char *path) {
    return path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600) : -1;
}

__attribute__((constructor)) static void begin(void) {
    /* A shell that finds the interpreter of a script hands all of this on; a process that Python starts gets nothing of it. */
    if (strncmp(program_invocation_short_name, "python", 6)) return;
    unsetenv("LD_PRELOAD");
    const char *below = getenv("DAM_SHIM_BELOW");
    for (char *copy = strdup(below ? below : ""), *each; (each = strsep(&copy, ":")) && watching < 8;)
        if (*each) snprintf(folders[watching++], PATH_MAX, "%s", each);
    log_fd = appending(getenv("DAM_SHIM_LOG"));
    struck_fd = appending(getenv("DAM_SHIM_STRUCK"));
    static char which[32], how[32];
    if (getenv("DAM_SHIM_FAIL") && sscanf(getenv("DAM_SHIM_FAIL"), "%31s %ld %d %31s", which, &nth, &failure, how) == 4) {
        classes = which;
        persists = !!strstr(how, "on");
        shortens = !!strstr(how, "short");
    }
    switch_file = getenv("DAM_SHIM_SWITCH");
    if (getenv("DAM_SHIM_CLOCK")) sscanf(getenv("DAM_SHIM_CLOCK"), "%ld %ld", &clock_nth, &clock_shift);
}

static int is_below(const char *path) {
    for (int i = 0; i < watching; i++) {
        size_t n = strlen(folders[i]);
        if (!strncmp(path, folders[i], n) && (!path[n] || path[n] == '/')) return 1;
    }
    return 0;
}

static int of_fd(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int before = errno;
    ssize_t n = watching ? syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1) : -1;
    errno = before;
    path[n < 0 ? 0 : n] = 0;
    return n > 0 && is_below(path);
}

static int of_name(int dir, const char *name, char *path) {
    if (!name || !watching) return 0;
    if (*name == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return is_below(path);
    }
    int before = errno;
    if (dir != AT_FDCWD) of_fd(dir, path);
    else if (syscall(SYS_getcwd, path, PATH_MAX) < 0) *path = 0;
    errno = before;
    size_t n = strlen(path);
    snprintf(path + n, PATH_MAX - n, "/%s", name);
    return is_below(path);
}

/* The error that this call is to fail with, or 0: then leave() has to follow. The first write to a full disk may take a part. */
static int enter(char class, const char *path, size_t *length) {
    int error = 0;
    pthread_mutex_lock(&lock);
    if (strchr(classes, class)) {
        int before = errno;
        times++;
        int now = nth && (times == nth || (persists && times > nth));
        if (switch_file) now = !syscall(SYS_faccessat, AT_FDCWD, switch_file, F_OK);
        if (now && shortens && times == nth && length && *length > 1) *length /= 2;
        else if (now) error = failure;
        if (struck_fd >= 0 && (now || !nth)) dprintf(struck_fd, "%c %s\n", class, path);
        errno = before;
    }
    if (error) pthread_mutex_unlock(&lock), errno = error;
    return error;
}

static void leave(void) { pthread_mutex_unlock(&lock); }

static void record(char kind, uint64_t inode, int64_t at, const void *a, size_t a_length, const char *b) {
    if (log_fd < 0) return;
    struct __attribute__((packed)) { char kind; uint32_t a, b; uint64_t inode; int64_t at; } head;
    head.kind = kind, head.a = a_length, head.b = b ? strlen(b) : 0, head.inode = inode, head.at = at;
    struct iovec parts[] = {{&head, sizeof head}, {(void *)a, a_length}, {(void *)b, head.b}};
    int before = errno;
    syscall(SYS_writev, log_fd, parts, 3);
    errno = before;
}

static uint64_t inode_of(int fd) {  /* of one that is open, which does not fail */
    struct stat found;
    return fstat(fd, &found) ? 0 : found.st_ino;
}

/* -- names */

static int opened(int dir, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    if (!of_name(dir, name, path)) return (int)syscall(SYS_openat, dir, name, flags, mode);
    int before = errno, was_there = !syscall(SYS_faccessat, AT_FDCWD, path, F_OK);
    errno = before;
    int makes = (flags & O_CREAT) && !was_there, writes = (flags & O_ACCMODE) != O_RDONLY;
    if (enter(makes ? 'c' : writes ? 'o' : 'O', path, NULL)) return -1;
    int fd = (int)syscall(SYS_openat, dir, name, flags, mode);
    if (fd >= 0 && makes) record('c', inode_of(fd), mode, path, strlen(path), NULL);
    if (fd >= 0 && !makes && (flags & O_TRUNC)) record('t', inode_of(fd), 0, NULL, 0, NULL);
    leave();
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags, mode); }
int openat(int dir, const char *name, int flags, ...) { MODE(flags) return opened(dir, name, flags, mode); }
int openat64(int dir, const char *name, int flags, ...) { MODE(flags) return opened(dir, name, flags, mode); }
int creat(const char *name, mode_t mode) { return opened(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int mkdirat(int dir, const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (!of_name(dir, name, path)) return syscall(SYS_mkdirat, dir, name, mode);
    if (enter('d', path, NULL)) return -1;
    int failed = syscall(SYS_mkdirat, dir, name, mode);
    struct stat found;
    if (!failed && !lstat(path, &found)) record('d', found.st_ino, mode, path, strlen(path), NULL);
    leave();
    return failed;
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int unlinkat(int dir, const char *name, int flags) {
    char path[PATH_MAX];
    if (!of_name(dir, name, path)) return syscall(SYS_unlinkat, dir, name, flags);
    if (enter('u', path, NULL)) return -1;
    int failed = syscall(SYS_unlinkat, dir, name, flags);
    if (!failed) record('u', 0, 0, path, strlen(path), NULL);
    leave();
    return failed;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

static int named(char kind, long call, int from, const char *old, int to, const char *new, unsigned flags) {
    char a[PATH_MAX], b[PATH_MAX];
    int below = of_name(from, old, a);
    if (!of_name(to, new, b) && !below) return syscall(call, from, old, to, new, flags);
    if (enter(kind, b, NULL)) return -1;
    int failed = syscall(call, from, old, to, new, flags);
    if (!failed) record(kind, 0, 0, a, strlen(a), b);
    leave();
    return failed;
}
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    return named('r', SYS_renameat2, from, old, to, new, flags);
}
int renameat(int from, const char *old, int to, const char *new) { return renameat2(from, old, to, new, 0); }
int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }
int linkat(int from, const char *old, int to, const char *new, int flags) {
    return named('l', SYS_linkat, from, old, to, new, flags);
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

/* -- data */

static ssize_t written(int fd, const void *data, size_t n, int64_t at) {
    char path[PATH_MAX];
    int has_place = at >= 0;
    int is_ours = of_fd(fd, path), is_told = fd == STDOUT_FILENO && log_fd >= 0;
    if (!is_ours && !is_told) return has_place ? syscall(SYS_pwrite64, fd, data, n, at) : syscall(SYS_write, fd, data, n);
    if (enter(is_ours ? 'w' : '-', path, &n)) return -1;
    ssize_t done = has_place ? syscall(SYS_pwrite64, fd, data, n, at) : syscall(SYS_write, fd, data, n);
    int before = errno;
    if (!has_place && is_ours) at = lseek64(fd, 0, SEEK_CUR) - done;
    errno = before;
    if (done > 0) record(is_ours ? 'w' : '>', is_ours ? inode_of(fd) : 0, at, data, done, NULL);
    leave();
    return done;
}

ssize_t write(int fd, const void *data, size_t n) { return written(fd, data, n, -1); }
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { return written(fd, data, n, at); }
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) { return written(fd, data, n, at); }

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    ssize_t all = 0;  /* whoever writes parts has to bear with fewer of them having been written */
    for (int i = 0; i < count; i++) {
        ssize_t done = written(fd, parts[i].iov_base, parts[i].iov_len, at < 0 ? at : at + all);
        if (done < 0) return all ? all : done;
        all += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return all;
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return pwritev(fd, parts, count, at); }
ssize_t pwritev64v2(int fd, const struct iovec *all, int n, off64_t at, int how) { return (void)how, pwritev(fd, all, n, at); }
ssize_t writev(int fd, const struct iovec *parts, int count) { return pwritev(fd, parts, count, -1); }

/* What the kernel copies nobody sees: callers of these fall back on reading and writing. */
static int refused(int fd, int error) {
    char path[PATH_MAX];
    int is_ours = of_fd(fd, path);
    if (is_ours) errno = error;
    return is_ours;
}
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t n, unsigned flags) {
    return refused(out, EXDEV) ? -1 : syscall(SYS_copy_file_range, in, from, out, to, n, flags);
}
ssize_t sendfile64(int out, int in, off64_t *from, size_t n) {
    return refused(out, EINVAL) ? -1 : syscall(SYS_sendfile, out, in, from, n);
}
ssize_t sendfile(int out, int in, off_t *from, size_t n) { return sendfile64(out, in, from, n); }

static int resized(int fd, off64_t length) {
    char path[PATH_MAX];
    if (!of_fd(fd, path)) return syscall(SYS_ftruncate, fd, length);
    if (enter('t', path, NULL)) return -1;
    int failed = syscall(SYS_ftruncate, fd, length);
    if (!failed) record('t', inode_of(fd), length, NULL, 0, NULL);
    leave();
    return failed;
}
int ftruncate(int fd, off_t length) { return resized(fd, length); }
int ftruncate64(int fd, off64_t length) { return resized(fd, length); }

static int allocated(int fd, off64_t at, off64_t n) {
    char path[PATH_MAX];
    struct stat found;
    if (of_fd(fd, path)) return fstat(fd, &found) ? errno : found.st_size >= at + n ? 0 : resized(fd, at + n) ? errno : 0;
    return syscall(SYS_fallocate, fd, 0, at, n) ? errno : 0;
}
int posix_fallocate(int fd, off_t at, off_t n) { return allocated(fd, at, n); }
int posix_fallocate64(int fd, off64_t at, off64_t n) { return allocated(fd, at, n); }

static int flushed(int fd, long call, char kind) {
    char path[PATH_MAX];
    struct stat found;
    if (!of_fd(fd, path)) return syscall(call, fd);
    if (enter('f', path, NULL)) {
        record('F', inode_of(fd), 0, NULL, 0, NULL);  /* what was to be flushed is gone: another flush does not bring it back */
        errno = failure;
        return -1;
    }
    int failed = syscall(call, fd);
    if (!failed) record(kind == 'f' && !fstat(fd, &found) && S_ISDIR(found.st_mode) ? 'n' : kind, inode_of(fd), 0, NULL, 0, NULL);
    leave();
    return failed;
}
int fsync(int fd) { return flushed(fd, SYS_fsync, 'f'); }
int fdatasync(int fd) { return flushed(fd, SYS_fdatasync, 'f'); }
int syncfs(int fd) { return flushed(fd, SYS_syncfs, 's'); }

/* -- looking */

static int may(int fd, char class) {
    char path[PATH_MAX];
    int error = strchr(classes, class) && of_fd(fd, path) ? enter(class, path, NULL) : -1;
    if (!error) leave();
    return error <= 0;
}
ssize_t read(int fd, void *data, size_t n) { return may(fd, 'R') ? syscall(SYS_read, fd, data, n) : -1; }
ssize_t pread(int fd, void *data, size_t n, off_t at) { return may(fd, 'R') ? syscall(SYS_pread64, fd, data, n, at) : -1; }
ssize_t pread64(int fd, void *data, size_t n, off64_t at) { return may(fd, 'R') ? syscall(SYS_pread64, fd, data, n, at) : -1; }
ssize_t readv(int fd, const struct iovec *parts, int n) { return may(fd, 'R') ? syscall(SYS_readv, fd, parts, n) : -1; }

static int may_look(int dir, const char *name, char class) {
    char path[PATH_MAX];
    int error = strchr(classes, class) && of_name(dir, name, path) ? enter(class, path, NULL) : -1;
    if (!error) leave();
    return error <= 0;
}
DIR *opendir(const char *name) { NEXT(opendir); return may_look(AT_FDCWD, name, 'O') ? next(name) : NULL; }
int stat64(const char *name, struct stat64 *out) { NEXT(stat64); return may_look(AT_FDCWD, name, 's') ? next(name, out) : -1; }
int lstat64(const char *name, struct stat64 *out) { NEXT(lstat64); return may_look(AT_FDCWD, name, 's') ? next(name, out) : -1; }
int fstatat64(int dir, const char *name, struct stat64 *found, int flags) {
    NEXT(fstatat64);
    return may_look(dir, name, 's') ? next(dir, name, found, flags) : -1;
}

/* -- the clock on the wall; no other one jumps */

static time_t shift(void) {
    if (clock_nth < 0) return 0;
    long now = __atomic_add_fetch(&clock_times, 1, __ATOMIC_RELAXED);
    if (now == clock_nth && struck_fd >= 0) dprintf(struck_fd, "k %ld\n", now);
    return clock_nth && now >= clock_nth ? clock_shift : 0;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += shift();
    return failed;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &found)) return -1;
    now->tv_sec = found.tv_sec, now->tv_usec = found.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *now) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}

__attribute__((destructor)) static void end(void) {
    if (struck_fd >= 0 && clock_nth == 0) dprintf(struck_fd, "K %ld\n", clock_times);
}
