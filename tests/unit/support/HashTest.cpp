#include "support/Hash.h"

#include <gtest/gtest.h>

namespace attn {

TEST(Hash, FieldsAreKeptApart) {
  EXPECT_NE(Hasher().add("ab").add("c").finish(), Hasher().add("a").add("bc").finish());
  EXPECT_NE(Hasher().add("a").finish(), Hasher().add("a").add("").finish());
  EXPECT_EQ(Hasher().add("text").add(7).finish(), Hasher().add("text").add(7).finish());
}

TEST(Hash, HexHasThirtyTwoDigits) {
  EXPECT_EQ((Hash128{0x1, 0xabcdef}).hex(), "00000000000000010000000000abcdef");
}

TEST(Hash, ChecksumIsTheStandardXxh3) {
  EXPECT_EQ(checksum({}), 0x2d06800538d394c2u); // XXH3_64bits of nothing, xxHash specification
}

} // namespace attn
