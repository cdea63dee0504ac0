#pragma once

#include <avahi-client/client.h>
#include <avahi-client/lookup.h>
#include <avahi-client/publish.h>
#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/simple-watch.h>
#include <avahi-common/strlst.h>
#include <avahi-common/timeval.h>

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/// Opens a non-blocking netlink socket that becomes readable when an address of this machine comes or goes.
/// Returns the descriptor, or -errno. The caller closes it.
static inline int mantel_open_address_watch(void) {
  int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (descriptor < 0) return -errno;
  struct sockaddr_nl address;
  memset(&address, 0, sizeof address);
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
    int failure = errno;
    close(descriptor);
    return -failure;
  }
  return descriptor;
}

/// Reads all that waits on that socket and throws it away: the news is that there was any. An overflow
/// (ENOBUFS) is news too, and is cleared by reading.
static inline void mantel_drain_address_watch(int descriptor) {
  char buffer[8192];
  for (;;) {
    ssize_t count = recv(descriptor, buffer, sizeof buffer, 0);
    if (count > 0 || (count < 0 && (errno == EINTR || errno == ENOBUFS))) continue;
    return;
  }
}

/// Names the calling thread, for debuggers and `ps -L`.
static inline void mantel_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
