/* Arguments of launches, as the C tests write them. */
#ifndef ATTN_TESTS_UNIT_C_ARGUMENTS_H
#define ATTN_TESTS_UNIT_C_ARGUMENTS_H

#include "attn/c/Attn.h"

#include <string.h>

/* A contiguous tensor that starts where `buffer` does. */
static inline AttnArgument tensor(const char *name, AttnElementType type, const AttnBuffer *buffer, int32_t rank, const int64_t *shape) {
  AttnArgument argument;
  memset(&argument, 0, sizeof argument);
  argument.name = name;
  argument.kind = ATTN_TENSOR;
  argument.type = type;
  argument.address = attnBufferAddress(buffer);
  argument.rank = rank;
  argument.shape = shape;
  return argument;
}

#endif
