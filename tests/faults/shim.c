/* Sits between a process and the kernel: records, fails or ends what it does to files of one
 * directory. For LD_PRELOAD on 64-bit Linux; see tests/kit/shim.py, which compiles and steers it.
 *
 * A record: kind (1 byte), length of the path (u16), number a (u64), number b (u64), length of the
 * data (u32), all little endian; then the path below the directory, then the data.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES = 4096, PUNCH_HOLE = 2 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char directory[4096];
static size_t directory_size;
static char *names[FILES]; /* by descriptor: the path below the directory */
static int log_file = -1;
static long count, fail_at, fail_for_good, kill_at, reads_count;
static int fail_with;

/* Steering, called through ctypes. */

void shim_watch(const char *path, const char *log) {
  pthread_mutex_lock(&mutex);
  strncpy(directory, path, sizeof directory - 1);
  directory_size = strlen(directory);
  if (log_file >= 0) syscall(SYS_close, log_file);
  log_file = *log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
  count = fail_at = kill_at = 0;
  pthread_mutex_unlock(&mutex);
}

void shim_fail(long at, int with, long for_good) {
  pthread_mutex_lock(&mutex);
  count = 0;
  fail_at = at;
  fail_with = with;
  fail_for_good = for_good;
  pthread_mutex_unlock(&mutex);
}

void shim_kill(long at) {
  pthread_mutex_lock(&mutex);
  count = 0;
  kill_at = at;
  pthread_mutex_unlock(&mutex);
}

/* Whether reads count (and fail) too. */
void shim_reads(long yes) { reads_count = yes; }

long shim_count(void) { return count; }

static void put(const void *data, size_t size) {
  const char *at = data;
  while (size) {
    long done = syscall(SYS_write, log_file, at, size);
    if (done <= 0) abort();
    at += done;
    size -= (size_t)done;
  }
}

static void record(char kind, const char *name, uint64_t a, uint64_t b, const struct iovec *parts,
                   int number, size_t size) {
  if (log_file < 0) return;
  char head[23];
  uint16_t length = (uint16_t)strlen(name);
  uint32_t data = (uint32_t)size;
  head[0] = kind;
  memcpy(head + 1, &length, 2);
  memcpy(head + 3, &a, 8);
  memcpy(head + 11, &b, 8);
  memcpy(head + 19, &data, 4);
  put(head, sizeof head);
  put(name, length);
  for (int i = 0; i < number && size; i++) {
    size_t part = parts[i].iov_len < size ? parts[i].iov_len : size;
    put(parts[i].iov_base, part);
    size -= part;
  }
}

void shim_mark(const char *text, long size) {
  struct iovec part = {(void *)text, (size_t)size};
  pthread_mutex_lock(&mutex);
  record('M', "", 0, 0, &part, 1, (size_t)size);
  pthread_mutex_unlock(&mutex);
}

/* The path below the directory, or NULL for files that are none of our business. */
static const char *inside(const char *path) {
  if (!directory_size || strncmp(path, directory, directory_size)) return NULL;
  path += directory_size;
  if (*path == 0) return path;
  if (*path++ != '/') return NULL;
  size_t size = strlen(path);
  if (!strcmp(path, "lock") || (size > 4 && !strcmp(path + size - 4, "-shm"))) return NULL;
  return path;
}

/* Counts an operation; nonzero if it fails instead of being done. */
static int step(void) {
  count++;
  if (kill_at && count >= kill_at) kill(getpid(), SIGKILL);
  if (fail_at && (count == fail_at || (fail_for_good && count > fail_at))) {
    errno = fail_with;
    return -1;
  }
  return 0;
}

static int opened(int folder, const char *path, int flags, mode_t mode) {
  const char *name = folder == AT_FDCWD ? inside(path) : NULL;
  if (!name) return (int)syscall(SYS_openat, folder, path, flags, mode);
  pthread_mutex_lock(&mutex);
  struct stat found;
  int created = (flags & O_CREAT) && stat(path, &found) != 0;
  int result = -1;
  if (!created || step() == 0) {
    result = (int)syscall(SYS_openat, folder, path, flags, mode);
    if (result >= 0 && result < FILES) {
      int error = errno;
      free(names[result]);
      names[result] = strdup(name);
      if (created) record('C', name, 0, 0, NULL, 0, 0);
      else if (flags & O_TRUNC) record('T', name, 0, 0, NULL, 0, 0);
      errno = error;
    }
  }
  pthread_mutex_unlock(&mutex);
  return result;
}

#define OPEN(NAME)                                   \
  int NAME(const char *path, int flags, ...) {       \
    va_list more;                                    \
    va_start(more, flags);                           \
    mode_t mode = (mode_t)va_arg(more, int);         \
    va_end(more);                                    \
    return opened(AT_FDCWD, path, flags, mode);      \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(NAME)                                       \
  int NAME(int folder, const char *path, int flags, ...) { \
    va_list more;                                          \
    va_start(more, flags);                                 \
    mode_t mode = (mode_t)va_arg(more, int);               \
    va_end(more);                                          \
    return opened(folder, path, flags, mode);              \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int file) {
  if (file >= 0 && file < FILES && names[file]) {
    pthread_mutex_lock(&mutex);
    free(names[file]);
    names[file] = NULL;
    pthread_mutex_unlock(&mutex);
  }
  return (int)syscall(SYS_close, file);
}

static int is_ours(int file) { return file >= 0 && file < FILES && names[file]; }

static ssize_t written(int file, const struct iovec *parts, int number, int64_t offset) {
  if (!is_ours(file)) return syscall(SYS_pwritev, file, parts, number, offset, 0);
  pthread_mutex_lock(&mutex);
  ssize_t result = -1;
  if (kill_at && count + 1 == kill_at && number) /* half of it gets through */
    syscall(SYS_pwrite64, file, parts[0].iov_base, parts[0].iov_len / 2, offset);
  if (step() == 0) {
    result = syscall(SYS_pwritev, file, parts, number, offset, 0);
    int error = errno;
    if (result > 0) record('W', names[file], (uint64_t)offset, 0, parts, number, (size_t)result);
    errno = error;
  }
  pthread_mutex_unlock(&mutex);
  return result;
}

#define PWRITE(NAME)                                                        \
  ssize_t NAME(int file, const void *data, size_t size, off_t offset) {     \
    struct iovec part = {(void *)data, size};                               \
    return written(file, &part, 1, offset);                                 \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(NAME)                                                              \
  ssize_t NAME(int file, const struct iovec *parts, int number, off_t offset) {    \
    return written(file, parts, number, offset);                                   \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define PWRITEV2(NAME)                                                                      \
  ssize_t NAME(int file, const struct iovec *parts, int number, off_t offset, int flags) {  \
    (void)flags;                                                                            \
    return written(file, parts, number, offset);                                            \
  }
PWRITEV2(pwritev2)
PWRITEV2(pwritev64v2)

ssize_t write(int file, const void *data, size_t size) {
  if (!is_ours(file)) return syscall(SYS_write, file, data, size);
  int64_t offset = syscall(SYS_lseek, file, 0, SEEK_CUR);
  struct iovec part = {(void *)data, size};
  ssize_t result = written(file, &part, 1, offset);
  if (result > 0) syscall(SYS_lseek, file, offset + result, SEEK_SET);
  return result;
}

static ssize_t read_at(int file, const struct iovec *parts, int number, int64_t offset, int flags) {
  if (is_ours(file) && reads_count) {
    pthread_mutex_lock(&mutex);
    int failed = step();
    pthread_mutex_unlock(&mutex);
    if (failed) return -1;
  }
  return syscall(SYS_preadv2, file, parts, number, offset, 0, flags);
}

#define PREAD(NAME)                                                  \
  ssize_t NAME(int file, void *data, size_t size, off_t offset) {    \
    struct iovec part = {data, size};                                \
    return read_at(file, &part, 1, offset, 0);                       \
  }
PREAD(pread)
PREAD(pread64)

#define PREADV2(NAME)                                                                       \
  ssize_t NAME(int file, const struct iovec *parts, int number, off_t offset, int flags) {  \
    return read_at(file, parts, number, offset, flags);                                     \
  }
PREADV2(preadv2)
PREADV2(preadv64v2)

static int changed(int file, char kind, long number, uint64_t a, uint64_t b, long c) {
  if (!is_ours(file)) return (int)syscall(number, file, a, b, c);
  pthread_mutex_lock(&mutex);
  int result = -1;
  if (step() == 0) {
    result = (int)syscall(number, file, a, b, c);
    int error = errno;
    if (result == 0) {
      if (kind == 'P') record(kind, names[file], b, (uint64_t)c, NULL, 0, 0);
      else record(kind, names[file], a, 0, NULL, 0, 0);
    }
    errno = error;
  }
  pthread_mutex_unlock(&mutex);
  return result;
}

int ftruncate(int file, off_t size) { return changed(file, 'T', SYS_ftruncate, (uint64_t)size, 0, 0); }
int ftruncate64(int file, off_t size) { return ftruncate(file, size); }
int fsync(int file) { return changed(file, 'S', SYS_fsync, 0, 0, 0); }
int fdatasync(int file) { return changed(file, 'S', SYS_fdatasync, 0, 0, 0); }

int fallocate(int file, int mode, off_t offset, off_t size) {
  char kind = mode & PUNCH_HOLE ? 'P' : 'A';
  return changed(file, kind, SYS_fallocate, (uint64_t)mode, (uint64_t)offset, size);
}
int fallocate64(int file, int mode, off_t offset, off_t size) { return fallocate(file, mode, offset, size); }

/* Names. */

static int named(const char *path, char kind, const char *second, long number, long a, long b, long c, long d, long e) {
  const char *name = inside(path);
  if (!name) return (int)syscall(number, a, b, c, d, e);
  pthread_mutex_lock(&mutex);
  int result = -1;
  if (step() == 0) {
    result = (int)syscall(number, a, b, c, d, e);
    int error = errno;
    const char *to = second ? inside(second) : NULL;
    struct iovec part = {(void *)to, to ? strlen(to) : 0};
    if (result == 0) record(kind, name, 0, 0, &part, to ? 1 : 0, part.iov_len);
    errno = error;
  }
  pthread_mutex_unlock(&mutex);
  return result;
}

int rename(const char *from, const char *to) {
  return named(from, 'R', to, SYS_renameat2, AT_FDCWD, (long)from, AT_FDCWD, (long)to, 0);
}
int link(const char *from, const char *to) {
  return named(from, 'L', to, SYS_linkat, AT_FDCWD, (long)from, AT_FDCWD, (long)to, 0);
}
int unlink(const char *path) {
  return named(path, 'U', NULL, SYS_unlinkat, AT_FDCWD, (long)path, 0, 0, 0);
}
int mkdir(const char *path, mode_t mode) {
  return named(path, 'D', NULL, SYS_mkdirat, AT_FDCWD, (long)path, (long)mode, 0, 0);
}
