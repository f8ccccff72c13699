/* Checks for the C tests: a failed one says where and ends the program. */
#ifndef ATTN_TESTS_UNIT_C_EXPECT_H
#define ATTN_TESTS_UNIT_C_EXPECT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                                                                              \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: expects %s; last message: %s\n", __FILE__, __LINE__, #condition, attnLastMessage());     \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

/* `call` fails with `status`, and its message holds `words`. */
#define EXPECT_FAILURE(call, status, words)                                                                            \
  do {                                                                                                                 \
    EXPECT((call) == (status));                                                                                        \
    EXPECT(strstr(attnLastMessage(), (words)) != NULL);                                                                \
  } while (0)

#endif
