// System calls and structures of Linux that Swift cannot reach by itself: ioctls, GNU extensions, statfs.
// Every function returns 0 or a count, or a negated errno. None of them keeps state, but for the priority of threads.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Flags for openat that the C library hides without _GNU_SOURCE.
extern const int32_t mantel_o_path;
extern const int32_t mantel_o_noatime;

struct mantel_filesystem {
  uint64_t type;
  uint64_t fsid;
  uint64_t free_bytes;
  uint64_t total_bytes;
};

// Renames without ever replacing: EEXIST if the target is there, EINVAL or ENOSYS where this cannot be had.
int32_t mantel_rename_noreplace(int32_t from_directory, const char *from, int32_t to_directory, const char *to);
// Makes `target` share the extents of `source`.
int32_t mantel_reflink(int32_t target, int32_t source);
// Copies inside the kernel from and to the descriptors' positions.
int64_t mantel_copy_range(int32_t source, int32_t target, size_t count);
int32_t mantel_syncfs(int32_t descriptor);
// Writes a file's dirty pages, waits for them and reports write errors of the file that nobody was told of. Neither its
// metadata nor the disk's own cache: a sync has to follow.
int32_t mantel_write_out(int32_t descriptor);
// Reserves blocks and sets the size.
int32_t mantel_allocate(int32_t descriptor, uint64_t size);
// Fills `buffer` with linux_dirent64 records; 0 at the end.
int64_t mantel_entries(int32_t directory, void *buffer, size_t capacity);
int32_t mantel_statfs(int32_t descriptor, struct mantel_filesystem *result);
// The filesystem's UUID, up to 16 bytes; returns how many.
int32_t mantel_filesystem_uuid(int32_t descriptor, uint8_t uuid[16]);
// Lowers CPU and I/O priority of the calling thread, once.
void mantel_lower_thread_priority(void);
// The lowest CPU priority and the idle I/O class for the calling thread, once.
void mantel_idle_thread_priority(void);
// A non-blocking, close-on-exec event counter, for waking a poll.
int32_t mantel_event_counter(void);
// Hands the clean cached pages of a file back, so that the next read comes from the disk.
int32_t mantel_drop_cache(int32_t descriptor);
