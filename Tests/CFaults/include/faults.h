#pragma once

/// Kinds of calls that can be made to fail; a set of them is a sum.
enum {
  MANTEL_FAULT_OPEN = 1,
  MANTEL_FAULT_READ = 2,
  MANTEL_FAULT_WRITE = 4,
  MANTEL_FAULT_SYNC = 8,
  MANTEL_FAULT_COPY = 16,
  MANTEL_FAULT_TRUNCATE = 32,
  /// `stat` of a name in a directory.
  MANTEL_FAULT_STAT = 64,
};

/// From now on, on this thread, the `number`-th call (from 1) of these kinds fails with `error`; with `and_after` all that
/// follow it, too: a disk that is gone.
void mantel_faults_arm(unsigned kinds, long number, int error, int and_after);

/// Ends that; returns how many calls of these kinds were made.
long mantel_faults_disarm(void);
