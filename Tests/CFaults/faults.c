// System calls of the C library, defined a second time, in the test program: it and the libraries that it loads (SQLite)
// call these. A call that is not to fail goes to the kernel, as the C library's would.
//
// Nothing fails unless a test has said so, on its own thread.
#define _GNU_SOURCE
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static _Thread_local struct {
  unsigned kinds;
  long number;
  long count;
  int error;
  int and_after;
} armed;

void mantel_faults_arm(unsigned kinds, long number, int error, int and_after) {
  armed.kinds = kinds;
  armed.number = number;
  armed.count = 0;
  armed.error = error;
  armed.and_after = and_after;
}

long mantel_faults_disarm(void) {
  armed.kinds = 0;
  return armed.count;
}

static int fails(unsigned kind) {
  if (!(armed.kinds & kind)) return 0;
  armed.count++;
  if (armed.count != armed.number && !(armed.and_after && armed.count > armed.number)) return 0;
  errno = armed.error;
  return 1;
}

static int open_file(int directory, const char *path, int flags, va_list arguments) {
  mode_t mode = 0;
  if (flags & (O_CREAT | O_TMPFILE)) mode = va_arg(arguments, mode_t);
  if (fails(MANTEL_FAULT_OPEN)) return -1;
  return (int)syscall(SYS_openat, directory, path, flags, mode);
}

#define DEFINE_OPEN(name)                                 \
  int name(const char *path, int flags, ...) {            \
    va_list arguments;                                    \
    va_start(arguments, flags);                           \
    int file = open_file(AT_FDCWD, path, flags, arguments); \
    va_end(arguments);                                    \
    return file;                                          \
  }
#define DEFINE_OPENAT(name)                                  \
  int name(int directory, const char *path, int flags, ...) { \
    va_list arguments;                                       \
    va_start(arguments, flags);                              \
    int file = open_file(directory, path, flags, arguments); \
    va_end(arguments);                                       \
    return file;                                             \
  }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

#define DEFINE_FSTATAT(name, type)                                        \
  int name(int directory, const char *path, struct type *to, int flags) { \
    if (fails(MANTEL_FAULT_STAT)) return -1;                              \
    return (int)syscall(SYS_newfstatat, directory, path, to, flags);      \
  }
DEFINE_FSTATAT(fstatat, stat)
DEFINE_FSTATAT(fstatat64, stat64)

#define DEFINE_PREAD(name)                                             \
  ssize_t name(int file, void *bytes, size_t count, off_t offset) {    \
    if (fails(MANTEL_FAULT_READ)) return -1;                           \
    return syscall(SYS_pread64, file, bytes, count, offset);           \
  }
DEFINE_PREAD(pread)
DEFINE_PREAD(pread64)

#define DEFINE_PWRITE(name)                                               \
  ssize_t name(int file, const void *bytes, size_t count, off_t offset) { \
    if (fails(MANTEL_FAULT_WRITE)) return -1;                             \
    return syscall(SYS_pwrite64, file, bytes, count, offset);             \
  }
DEFINE_PWRITE(pwrite)
DEFINE_PWRITE(pwrite64)

int fsync(int file) {
  if (fails(MANTEL_FAULT_SYNC)) return -1;
  return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
  if (fails(MANTEL_FAULT_SYNC)) return -1;
  return (int)syscall(SYS_fdatasync, file);
}

#define DEFINE_TRUNCATE(name)                    \
  int name(int file, off_t size) {               \
    if (fails(MANTEL_FAULT_TRUNCATE)) return -1; \
    return (int)syscall(SYS_ftruncate, file, size); \
  }
DEFINE_TRUNCATE(ftruncate)
DEFINE_TRUNCATE(ftruncate64)

ssize_t copy_file_range(int in, off_t *in_offset, int out, off_t *out_offset, size_t count, unsigned flags) {
  if (fails(MANTEL_FAULT_COPY)) return -1;
  return syscall(SYS_copy_file_range, in, in_offset, out, out_offset, count, flags);
}
