#include "support/NearestName.h"

#include <gtest/gtest.h>

#include <vector>

namespace attn {

static const std::vector<std::string> kNames = {"query", "key", "value", "kv_lens"};

TEST(NearestName, FindsTheLikelyOne) {
  EXPECT_EQ(nearestName("qurey", kNames), "query");
  EXPECT_EQ(nearestName("Key", kNames), "key");
  EXPECT_EQ(nearestName("kv_len", kNames), "kv_lens");
  EXPECT_EQ(nearestName("temperature", kNames), std::nullopt);
  EXPECT_EQ(nearestName("", kNames), std::nullopt);
  EXPECT_EQ(nearestName("x", std::vector<std::string>{"q"}), std::nullopt);
}

TEST(NearestName, HintListsWhatThereIsWhenNothingIsNear) {
  EXPECT_EQ(nameHint("vlaue", kNames), "; did you mean `value`?");
  EXPECT_EQ(nameHint("bananas", kNames), "; there are `query`, `key`, `value`, `kv_lens`");
  EXPECT_EQ(nameHint("bananas", std::vector<std::string>{"out"}), "; there is `out`");
  EXPECT_EQ(nameHint("bananas", {}), "");
}

} // namespace attn
