// The mask analysis against brute force: masks of the literature, whose blocks it must classify exactly, and random
// masks from the grammar, for which it must be sound at every point.
#include "passes/MaskTestSupport.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace attn::mask_test {
namespace {

constexpr const char *kPositions = R"(
  %i = attn.index q_idx   %j = attn.index kv_idx   %n = attn.size kv_len   %m = attn.size q_len
  %b = attn.index b   %d = arith.subi %n, %m : i32   %pos = arith.addi %i, %d : i32
  %back = arith.subi %pos, %j : i32   %zero = arith.constant 0 : i32   %yes = arith.constant true )";

std::string withPositions(const std::string &mask) { return kPositions + mask; }

/// Documents of these lengths as a table of their numbers.
std::vector<std::int64_t> documents(std::initializer_list<int> lengths) {
  std::vector<std::int64_t> table;
  std::int64_t number = 3;
  for (int length : lengths)
    table.insert(table.end(), length, number += 2);
  return table;
}

struct Known {
  const char *name;
  const char *mask;
};

std::ostream &operator<<(std::ostream &stream, const Known &known) { return stream << known.name; }

class ExactMask : public testing::TestWithParam<Known> {};

std::vector<Case> exactCases() {
  std::vector<Case> cases;
  for (auto [qLen, kvLen] : {std::pair(64, 64), std::pair(61, 61), std::pair(7, 90), std::pair(1, 33), std::pair(50, 20)})
    for (int window : {0, 5, 23, 200}) {
      Case inputs{.qLen = qLen, .kvLen = kvLen, .scalars = {{"p", std::min(window + 1, 64)}, {"w", window}}};
      std::vector<std::int64_t> table = documents({9, 1, 17, 30, 43});
      inputs.tables["lengths"] = {window + 7};
      inputs.tables["kdoc"] = std::vector(table.begin(), table.begin() + kvLen);
      inputs.tables["qdoc"] = std::vector(table.end() - qLen, table.end());
      cases.push_back(inputs);
    }
  return cases;
}

TEST_P(ExactMask, BlocksAreThoseOfBruteForce) {
  ClassifiedMask mask(withPositions(GetParam().mask));
  ASSERT_TRUE(mask.isValid());
  for (const Case &inputs : exactCases())
    for (auto [blockM, blockN] : {std::pair(16, 16), std::pair(16, 8), std::pair(32, 16), std::pair(4, 32)}) {
      mask.expectSound(inputs, blockM);
      BlockCounts found = mask.byRanges(inputs, blockM, blockN), wanted = mask.byPoints(inputs, blockM, blockN);
      EXPECT_EQ(found.skipped, wanted.skipped) << inputs.qLen << "x" << inputs.kvLen << " w " << inputs.scalars.at("w");
      EXPECT_EQ(found.full, wanted.full) << inputs.qLen << "x" << inputs.kvLen << " w " << inputs.scalars.at("w")
                                         << "\n" << mask.text();
      if (HasFailure())
        return;
    }
}

const Known kExact[] = {
    {"none", "attn.yield %yes : i1"},
    {"causal", "%v = arith.cmpi sle, %j, %pos : i32   attn.yield %v : i1"},
    {"causal_top_left", "%v = arith.cmpi sge, %i, %j : i32   attn.yield %v : i1"},
    {"window_by_hand", R"(%c = arith.constant 12 : i32   %u = arith.cmpi slt, %back, %c : i32
       %v = arith.cmpi sle, %j, %pos : i32   %x = arith.andi %u, %v : i1   attn.yield %x : i1)"},
    {"window_with_parameter", R"(%u = arith.cmpi sle, %back, %w : i32   %v = arith.cmpi sle, %j, %pos : i32
       %x = arith.andi %u, %v : i1   attn.yield %x : i1)"},
    {"window_by_abs", R"(%a = math.absi %back : i32   %v = arith.cmpi sle, %a, %w : i32   attn.yield %v : i1)"},
    {"prefix_lm", R"(%u = arith.cmpi slt, %j, %w : i32   %v = arith.cmpi sle, %j, %pos : i32
       %x = arith.ori %u, %v : i1   attn.yield %x : i1)"},
    {"chunked", R"(%x = arith.floordivsi %pos, %p : i32   %y = arith.floordivsi %j, %p : i32
       %v = arith.cmpi eq, %x, %y : i32   attn.yield %v : i1)"},
    {"documents", R"(%x = attn.load %qdoc[%b, %i] : !attn.tensor<[batch, q_len], i32, ascending> -> i32
       %y = attn.load %kdoc[%b, %j] : !attn.tensor<[batch, kv_len], i32, ascending> -> i32
       %v = arith.cmpi eq, %x, %y : i32   attn.yield %v : i1)"},
    {"padding", "%v = arith.cmpi slt, %j, %w : i32   attn.yield %v : i1"},
    {"sink_tokens", R"(%c = arith.constant 4 : i32   %u = arith.cmpi slt, %j, %c : i32
       %f = arith.constant 16 : i32   %r = arith.cmpi slt, %back, %f : i32   %s = arith.ori %u, %r : i1
       %v = arith.cmpi sle, %j, %pos : i32   %x = arith.andi %s, %v : i1   attn.yield %x : i1)"},
    {"anti_causal", "%v = arith.cmpi sgt, %j, %pos : i32   attn.yield %v : i1"},
    {"not_causal_by_xor", R"(%u = arith.cmpi sle, %j, %pos : i32   %v = arith.xori %u, %yes : i1   attn.yield %v : i1)"},
    {"scaled_keys", R"(%c = arith.constant 2 : i32   %x = arith.muli %j, %c : i32   %v = arith.cmpi sle, %x, %pos : i32
       attn.yield %v : i1)"},
    {"clamped", R"(%c = arith.constant 10 : i32   %x = arith.minsi %back, %c : i32   %y = arith.maxsi %x, %zero : i32
       %v = arith.cmpi slt, %y, %c : i32   attn.yield %v : i1)"},
    {"padding_by_tensor", R"(%e = attn.load %lengths[%b] : !attn.tensor<[batch], i32> -> i32   %v = arith.cmpi slt, %j, %e : i32
       attn.yield %v : i1)"},
    {"prefix_by_if", R"(%c = arith.cmpi sge, %i, %w : i32   %one = arith.constant 1 : i32   %n1 = arith.addi %i, %one : i32
       %e = arith.select %c, %n1, %w : i32   %v = arith.cmpi slt, %j, %e : i32   attn.yield %v : i1)"},
    {"branches_agree", R"(%c = arith.cmpi sge, %i, %w : i32   %t = arith.constant 10 : i32   %f = arith.constant 14 : i32
       %u = arith.cmpi slt, %j, %t : i32   %z = arith.cmpi slt, %j, %f : i32   %v = arith.select %c, %u, %z : i1
       attn.yield %v : i1)"},
    {"near", R"(%last = arith.subi %n, %w : i32   %one = arith.constant 1 : i32   %hi = arith.subi %last, %one : i32
       %x = arith.maxsi %i, %w : i32   %y = arith.minsi %x, %hi : i32   %d0 = arith.subi %y, %j : i32   %a = math.absi %d0 : i32
       %v = arith.cmpi sle, %a, %w : i32   attn.yield %v : i1)"},
    {"two_windows", R"(%c1 = arith.constant 6 : i32   %c2 = arith.constant 30 : i32   %c3 = arith.constant 37 : i32
       %a = arith.cmpi slt, %back, %c1 : i32   %e = arith.cmpi sge, %back, %c2 : i32   %f = arith.cmpi slt, %back, %c3 : i32
       %g = arith.andi %e, %f : i1   %o = arith.ori %a, %g : i1   %v = arith.cmpi sle, %j, %pos : i32
       %x = arith.andi %o, %v : i1   attn.yield %x : i1)"},
    {"shifted_down", R"(%s = arith.constant 3 : i32   %x = arith.shrsi %pos, %s : i32   %y = arith.shrsi %j, %s : i32
       %v = arith.cmpi sle, %y, %x : i32   attn.yield %v : i1)"},
};
INSTANTIATE_TEST_SUITE_P(Literature, ExactMask, testing::ValuesIn(kExact),
                         [](const auto &info) { return std::string(info.param.name); });

/// Sound, and no fewer blocks skipped than given: what the analysis leaves to the points, and why.
struct Approximate {
  const char *name;
  const char *mask;
  double skippedShare;   ///< of the blocks that brute force skips, at least
};
std::ostream &operator<<(std::ostream &stream, const Approximate &mask) { return stream << mask.name; }

class ApproximateMask : public testing::TestWithParam<Approximate> {};

TEST_P(ApproximateMask, SkipsItsShare) {
  ClassifiedMask mask(withPositions(GetParam().mask));
  ASSERT_TRUE(mask.isValid());
  Case inputs{.qLen = 64, .kvLen = 80, .scalars = {{"p", 7}, {"w", 11}}};
  std::mt19937 random(7);
  for (int key = 0; key < 80; ++key) {
    inputs.tables["kflag"].push_back(random() % 2);
    inputs.tables["kend"].push_back(1 + random() % 64);
  }
  for (int row = 0; row < 64; ++row)
    inputs.tables["qend"].push_back(1 + random() % 64);
  for (int blockM : {1, 5, 16, 64})
    mask.expectSound(inputs, blockM);
  double wanted = mask.byPoints(inputs, 16, 8).skipped, found = mask.byRanges(inputs, 16, 8).skipped;
  EXPECT_LE(found, wanted);
  EXPECT_GE(found, wanted * GetParam().skippedShare) << found << " of " << wanted;
  RecordProperty("skipped", std::to_string(found) + " of " + std::to_string(wanted));
}

const Approximate kApproximate[] = {
    // Which keys of a window show depends on the remainder; where they are sparser than blocks, their bounds count.
    {"dilated", R"(%u = arith.cmpi sle, %back, %w : i32   %v = arith.cmpi sle, %j, %pos : i32   %x = arith.andi %u, %v : i1
       %q = arith.floordivsi %back, %p : i32   %t = arith.muli %q, %p : i32   %r = arith.subi %back, %t : i32
       %e = arith.cmpi eq, %r, %zero : i32   %y = arith.andi %x, %e : i1   attn.yield %y : i1)", 1.0},
    // Rows of an 8-wide grid are intervals of keys, its columns are not.
    {"neighborhood_2d", R"(%c = arith.constant 8 : i32   %qy = arith.floordivsi %i, %c : i32   %ky = arith.floordivsi %j, %c : i32
       %dy = arith.subi %qy, %ky : i32   %ay = math.absi %dy : i32   %two = arith.constant 2 : i32
       %vy = arith.cmpi sle, %ay, %two : i32   %qt = arith.muli %qy, %c : i32   %qx = arith.subi %i, %qt : i32
       %kt = arith.muli %ky, %c : i32   %kx = arith.subi %j, %kt : i32   %dx = arith.subi %qx, %kx : i32
       %ax = math.absi %dx : i32   %vx = arith.cmpi sle, %ax, %two : i32   %v = arith.andi %vx, %vy : i1
       attn.yield %v : i1)", 1.0},
    // A tree over the new tokens: what precedes them is full, what lies above the diagonal is skipped.
    {"tree", R"(%u = arith.cmpi slt, %j, %d : i32   %t = arith.subi %j, %d : i32   %s = arith.cmpi sle, %t, %i : i32
       %e = attn.load %kend[%b, %t] : !attn.tensor<[batch, kv_len], i32> -> i32   %r = arith.cmpi slt, %i, %e : i32
       %x = arith.andi %s, %r : i1   %y = arith.ori %u, %x : i1   attn.yield %y : i1)", 0.5},
    // Booleans are data.
    {"flags", R"(%f = attn.load %kflag[%b, %j] : !attn.tensor<[batch, kv_len], i8> -> i1   %v = arith.cmpi sle, %j, %pos : i32
       %x = arith.andi %f, %v : i1   attn.yield %x : i1)", 1.0},
    // Rows that end where a table says: only its promise is known.
    {"row_table", R"(%e = attn.load %qend[%b, %i] : !attn.tensor<[batch, q_len], i32> -> i32
       %v = arith.cmpi slt, %j, %e : i32   attn.yield %v : i1)", 0.1},
};
INSTANTIATE_TEST_SUITE_P(Literature, ApproximateMask, testing::ValuesIn(kApproximate),
                         [](const auto &info) { return std::string(info.param.name); });

//===----------------------------------------------------------------------===//
// Random masks
//===----------------------------------------------------------------------===//

/// Writes random conditions over the arguments of the test's plan.
class MaskWriter {
public:
  explicit MaskWriter(unsigned seed) : random(seed) {}

  std::string write() {
    text = kPositions;
    std::string result = condition(3);
    return text + "attn.yield " + result + " : i1 ";
  }

private:
  int below(int count) { return static_cast<int>(random() % count); }
  std::string define(const std::string &op) {
    std::string name = "%x" + std::to_string(next++);
    text += name + " = " + op + "\n";
    return name;
  }
  std::string binary(const char *op, const std::string &a, const std::string &b) {
    return define(std::string("arith.") + op + " " + a + ", " + b + " : i32");
  }
  std::string constant(int value) { return define("arith.constant " + std::to_string(value) + " : i32"); }

  std::string leaf() {
    static const char *const kLeaves[] = {"%i", "%j", "%j", "%pos", "%pos", "%n", "%m", "%p", "%w", "%back", "%d"};
    switch (below(16)) {
    case 0:
      return define("attn.load %qdoc[%b, %i] : !attn.tensor<[batch, q_len], i32, ascending> -> i32");
    case 1:
      return define("attn.load %kdoc[%b, %j] : !attn.tensor<[batch, kv_len], i32, ascending> -> i32");
    case 2:
      return define("attn.load %qend[%b, %i] : !attn.tensor<[batch, q_len], i32> -> i32");
    case 3:
      return define("attn.load %kend[%b, %j] : !attn.tensor<[batch, kv_len], i32> -> i32");
    case 4:
      return constant(below(40) - 8);
    default:
      return kLeaves[below(std::size(kLeaves))];
    }
  }

  std::string divisor() { return below(3) == 0 ? "%p" : constant(1 + below(9)); }

  std::string integer(int depth) {
    if (depth == 0)
      return leaf();
    switch (below(11)) {
    case 0:
    case 1:
      return binary("addi", integer(depth - 1), integer(depth - 1));
    case 2:
    case 3:
      return binary("subi", integer(depth - 1), integer(depth - 1));
    case 4:
      return binary("muli", integer(depth - 1), below(3) == 0 ? "%p" : constant(below(7) - 3));
    case 5:
      return binary("floordivsi", integer(depth - 1), divisor());
    case 6: {
      std::string x = integer(depth - 1), c = divisor();
      return binary("subi", x, binary("muli", binary("floordivsi", x, c), c));
    }
    case 7:
      return binary("minsi", integer(depth - 1), integer(depth - 1));
    case 8:
      return binary("maxsi", integer(depth - 1), integer(depth - 1));
    case 9:
      return define("math.absi " + integer(depth - 1) + " : i32");
    default: {
      std::string yes = integer(depth - 1), no = integer(depth - 1), c = condition(depth - 1);
      return define("arith.select " + c + ", " + yes + ", " + no + " : i32");
    }
    }
  }

  std::string condition(int depth) {
    static const char *const kPredicates[] = {"slt", "sle", "sgt", "sge", "eq", "ne"};
    int choice = depth == 0 ? 0 : below(10);
    if (choice < 4) {
      std::string a = integer(std::max(depth - 1, 0)), b = integer(std::max(depth - 1, 0));
      return define(std::string("arith.cmpi ") + kPredicates[below(6)] + ", " + a + ", " + b + " : i32");
    }
    if (choice < 6)
      return define("arith.andi " + condition(depth - 1) + ", " + condition(depth - 1) + " : i1");
    if (choice < 7)
      return define("arith.ori " + condition(depth - 1) + ", " + condition(depth - 1) + " : i1");
    if (choice < 8)
      return define("arith.xori " + condition(depth - 1) + ", %yes : i1");
    if (choice < 9)
      return define("arith.select " + condition(depth - 1) + ", " + condition(depth - 1) + ", " + condition(depth - 1) + " : i1");
    return define("attn.load %kflag[%b, %j] : !attn.tensor<[batch, kv_len], i8> -> i1");
  }

  std::mt19937 random;
  std::string text;
  int next = 0;
};

Case randomCase(std::mt19937 &random) {
  auto below = [&](int count) { return static_cast<int>(random() % count); };
  Case inputs{.qLen = 1 + below(20), .kvLen = 1 + below(30)};
  inputs.scalars = {{"p", 1 + below(12)}, {"w", below(40) - 10}};
  std::int64_t document = -2;
  for (const char *name : {"qdoc", "kdoc"})
    for (int i = 0; i < (name[0] == 'q' ? inputs.qLen : inputs.kvLen); ++i)
      inputs.tables[name].push_back(document = (i ? document : -2) + (below(4) == 0) * below(5));
  for (const char *name : {"qend", "kend"})
    for (int i = 0; i < (name[0] == 'q' ? inputs.qLen : inputs.kvLen); ++i)
      inputs.tables[name].push_back(1 + below(static_cast<int>(inputs.qLen)));
  for (int i = 0; i < inputs.kvLen; ++i)
    inputs.tables["kflag"].push_back(below(2));
  return inputs;
}

constexpr unsigned kMasks = 400;

/// A long run: --gtest_filter=RandomMask.* --gtest_shuffle --gtest_repeat=50, which gives each round masks of its own.
TEST(RandomMask, IsSoundAtEveryPoint) {
  unsigned begin = kMasks * static_cast<unsigned>(testing::UnitTest::GetInstance()->random_seed());
  BlockCounts found, wanted;
  unsigned classified = 0;
  for (unsigned seed = begin; seed < begin + kMasks; ++seed) {
    ClassifiedMask mask(MaskWriter(seed).write());
    if (!mask.isValid())
      continue;   // provably hides every key, which is refused
    ++classified;
    std::mt19937 random(seed + 1000);
    for (int repetition = 0; repetition < 2; ++repetition) {
      Case inputs = randomCase(random);
      mask.expectSound(inputs, 1 + random() % 8);
      if (HasFatalFailure())
        return;
      BlockCounts byRanges = mask.byRanges(inputs, 4, 4), byPoints = mask.byPoints(inputs, 4, 4);
      found.skipped += byRanges.skipped;
      found.full += byRanges.full;
      wanted.skipped += byPoints.skipped;
      wanted.full += byPoints.full;
    }
  }
  std::cout << classified << " masks; skipped " << found.skipped << " of " << wanted.skipped << " hidden blocks, "
            << found.full << " of " << wanted.full << " full blocks without a mask\n";
  EXPECT_GT(classified, kMasks * 3 / 4);
  EXPECT_GT(found.skipped, wanted.skipped * 6 / 10);
  EXPECT_GT(found.full, wanted.full * 6 / 10);
}

} // namespace
} // namespace attn::mask_test
