#pragma once
#include <stddef.h>
#include <stdint.h>

// libFuzzer as a library: runs until its arguments say enough, or an input crashes.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*one_input)(const uint8_t *data, size_t size));
