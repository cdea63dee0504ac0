#define _GNU_SOURCE
#include "CMantelSystem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

const int32_t mantel_o_path = O_PATH;
const int32_t mantel_o_noatime = O_NOATIME;

int32_t mantel_rename_noreplace(int32_t from_directory, const char *from, int32_t to_directory, const char *to) {
  return renameat2(from_directory, from, to_directory, to, RENAME_NOREPLACE) == 0 ? 0 : -errno;
}

int32_t mantel_reflink(int32_t target, int32_t source) {
  return ioctl(target, FICLONE, source) == 0 ? 0 : -errno;
}

int64_t mantel_copy_range(int32_t source, int32_t target, size_t count) {
  ssize_t copied = copy_file_range(source, NULL, target, NULL, count, 0);
  return copied >= 0 ? copied : -errno;
}

int32_t mantel_syncfs(int32_t descriptor) { return syncfs(descriptor) == 0 ? 0 : -errno; }

int32_t mantel_write_out(int32_t descriptor) {
  unsigned flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  return sync_file_range(descriptor, 0, 0, flags) == 0 ? 0 : -errno;
}

int32_t mantel_allocate(int32_t descriptor, uint64_t size) {
  return fallocate(descriptor, 0, 0, (off_t)size) == 0 ? 0 : -errno;
}

int64_t mantel_entries(int32_t directory, void *buffer, size_t capacity) {
  long filled = syscall(SYS_getdents64, directory, buffer, capacity);
  return filled >= 0 ? filled : -errno;
}

int32_t mantel_statfs(int32_t descriptor, struct mantel_filesystem *result) {
  struct statfs facts;
  if (fstatfs(descriptor, &facts) != 0) return -errno;
  memset(result, 0, sizeof *result);
  // The type is a signed long: 32-bit magic numbers with the top bit set must not be sign-extended.
  result->type = (uint32_t)facts.f_type;
  memcpy(&result->fsid, &facts.f_fsid, sizeof result->fsid);
  uint64_t unit = facts.f_frsize > 0 ? (uint64_t)facts.f_frsize : (uint64_t)facts.f_bsize;
  result->free_bytes = (uint64_t)facts.f_bavail * unit;
  result->total_bytes = (uint64_t)facts.f_blocks * unit;
  return 0;
}

// FS_IOC_GETFSUUID is newer than many installed headers.
struct mantel_fsuuid {
  uint8_t length;
  uint8_t uuid[16];
};
#define MANTEL_GETFSUUID _IOR(0x15, 0, struct mantel_fsuuid)

int32_t mantel_filesystem_uuid(int32_t descriptor, uint8_t uuid[16]) {
  struct mantel_fsuuid answer;
  memset(&answer, 0, sizeof answer);
  if (ioctl(descriptor, MANTEL_GETFSUUID, &answer) == 0 && answer.length > 0 && answer.length <= 16) {
    memcpy(uuid, answer.uuid, answer.length);
    return answer.length;
  }
  struct btrfs_ioctl_fs_info_args btrfs;
  memset(&btrfs, 0, sizeof btrfs);
  struct statfs facts;
  if (fstatfs(descriptor, &facts) == 0 && (uint32_t)facts.f_type == 0x9123683E &&
      ioctl(descriptor, BTRFS_IOC_FS_INFO, &btrfs) == 0) {
    memcpy(uuid, btrfs.fsid, 16);
    return 16;
  }
  return -ENOTTY;
}

void mantel_lower_thread_priority(void) {
  static _Thread_local int is_lowered;
  if (is_lowered) return;
  is_lowered = 1;
  // Both are hints: a refusal leaves the thread as it was.
  setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10);
  const int who_process = 1, best_effort = 2, lowest = 7;
  syscall(SYS_ioprio_set, who_process, 0, best_effort << 13 | lowest);
}

void mantel_idle_thread_priority(void) {
  static _Thread_local int is_lowered;
  if (is_lowered) return;
  is_lowered = 1;
  // Hints too. The idle class is served when nobody else wants the disk.
  setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
  const int who_process = 1, idle = 3;
  syscall(SYS_ioprio_set, who_process, 0, idle << 13);
}

int32_t mantel_event_counter(void) {
  int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return descriptor >= 0 ? descriptor : -errno;
}

int32_t mantel_drop_cache(int32_t descriptor) { return -posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED); }
