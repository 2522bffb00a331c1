// A disk that misbehaves on demand: preloaded into a replica process, it acts on the files of ERAFT_DISK_FAULTS.
//
//   $ERAFT_DISK_FAULTS.stall exists: fsync and fdatasync do not return until it is gone.
//   $ERAFT_DISK_FAULTS.fail exists:  fsync and fdatasync fail with EIO.
//   $ERAFT_DISK_FAULTS.full exists:  whatever would take new space fails with ENOSPC.
//
// Space that a file already has can still be overwritten on a full disk, as on a real one.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int fault(const char *kind) {
  static const char *base;
  if (!base) base = getenv("ERAFT_DISK_FAULTS");
  if (!base) return 0;
  char path[4096];
  snprintf(path, sizeof path, "%s.%s", base, kind);
  return access(path, F_OK) == 0;
}

static void stall(void) {
  struct timespec pause = {0, 2000000};
  while (fault("stall")) nanosleep(&pause, NULL);
}

static int full(int fd, off_t end) {
  if (!fault("full")) return 0;
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
  if (end <= st.st_size && (off_t)st.st_blocks * 512 >= end) return 0;
  errno = ENOSPC;
  return 1;
}

#define REAL(type, name, ...)                        \
  static type (*real)(__VA_ARGS__);                  \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int broken(void) {
  if (!fault("fail")) return 0;
  errno = EIO;
  return 1;
}

int fsync(int fd) {
  REAL(int, "fsync", int);
  stall();
  return broken() ? -1 : real(fd);
}
int fdatasync(int fd) {
  REAL(int, "fdatasync", int);
  stall();
  return broken() ? -1 : real(fd);
}

ssize_t write(int fd, const void *buf, size_t n) {
  REAL(ssize_t, "write", int, const void *, size_t);
  return full(fd, lseek(fd, 0, SEEK_CUR) + (off_t)n) ? -1 : real(fd, buf, n);
}
ssize_t pwrite(int fd, const void *buf, size_t n, off_t at) {
  REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
  return full(fd, at + (off_t)n) ? -1 : real(fd, buf, n, at);
}
ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t at) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  return full(fd, at + (off_t)n) ? -1 : real(fd, buf, n, at);
}
ssize_t pwritev(int fd, const struct iovec *v, int count, off_t at) {
  REAL(ssize_t, "pwritev", int, const struct iovec *, int, off_t);
  return full(fd, at + 1) ? -1 : real(fd, v, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *v, int count, off64_t at) {
  REAL(ssize_t, "pwritev64", int, const struct iovec *, int, off64_t);
  return full(fd, at + 1) ? -1 : real(fd, v, count, at);
}
int fallocate(int fd, int mode, off_t at, off_t n) {
  REAL(int, "fallocate", int, int, off_t, off_t);
  return full(fd, at + n) ? -1 : real(fd, mode, at, n);
}
int fallocate64(int fd, int mode, off64_t at, off64_t n) {
  REAL(int, "fallocate64", int, int, off64_t, off64_t);
  return full(fd, (off_t)(at + n)) ? -1 : real(fd, mode, at, n);
}
int posix_fallocate(int fd, off_t at, off_t n) {
  REAL(int, "posix_fallocate", int, off_t, off_t);
  return full(fd, at + n) ? ENOSPC : real(fd, at, n);
}
