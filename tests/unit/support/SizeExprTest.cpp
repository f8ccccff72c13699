#include "support/SizeExpr.h"

#include <gtest/gtest.h>

#include <limits>

namespace attn {

static SizeExpr parsed(std::string_view text) {
  std::string error;
  auto expr = SizeExpr::parse(text, &error);
  EXPECT_TRUE(expr) << text << ": " << error;
  return expr ? *expr : SizeExpr::number(-999);
}

static std::string errorOf(std::string_view text) {
  std::string error;
  EXPECT_FALSE(SizeExpr::parse(text, &error)) << text;
  return error;
}

TEST(SizeExpr, EvaluatesWithTheLanguagesPrecedenceAndFlooring) {
  const std::map<std::string, std::int64_t, std::less<>> extents = {{"q_len", 77}, {"kv_len", 130}, {"n", -7}};
  EXPECT_EQ(parsed("q_len + kv_len * 2").evaluate(extents), 337);
  EXPECT_EQ(parsed("(q_len + kv_len) * 2").evaluate(extents), 414);
  EXPECT_EQ(parsed("n // 2").evaluate(extents), -4);
  EXPECT_EQ(parsed("n % 2").evaluate(extents), 1);
  EXPECT_EQ(parsed("7 % -2").evaluate(extents), -1);
  EXPECT_EQ(parsed("ceildiv(q_len, 64)").evaluate(extents), 2);
  EXPECT_EQ(parsed("ceildiv(n, 2)").evaluate(extents), -3);
  EXPECT_EQ(parsed("min(q_len, kv_len) - max(1, n)").evaluate(extents), 76);
  EXPECT_EQ(parsed("10 - 3 - 2").evaluate(extents), 5);
  EXPECT_EQ(parsed("--5").evaluate(extents), 5);
  EXPECT_EQ(parsed("-q_len * 2").evaluate(extents), -154);
}

TEST(SizeExpr, HasNoValueOnOverflowDivisionByZeroOrUnknownNames) {
  const std::map<std::string, std::int64_t, std::less<>> extents = {
      {"big", std::numeric_limits<std::int64_t>::max()}, {"low", std::numeric_limits<std::int64_t>::min()}, {"zero", 0}};
  for (const char *text : {"big + 1", "low - 1", "big * 2", "-low", "low // -1", "1 // zero", "1 % zero",
                           "ceildiv(1, zero)", "unknown"})
    EXPECT_EQ(parsed(text).evaluate(extents), std::nullopt) << text;
  EXPECT_EQ(parsed("low % -1").evaluate(extents), 0);
}

TEST(SizeExpr, TextReadsBackAsTheSameExpression) {
  for (const char *text : {"q_len", "-3", "a - (b - c)", "(a + b) * c", "a * (b // c)", "a // b // c", "-(a + b)",
                           "-a * b", "a - -3", "min(a, b + 1)", "max(a, ceildiv(b, 64)) % 8", "-(-a)",
                           "-9223372036854775808"}) {
    SizeExpr expr = parsed(text);
    EXPECT_EQ(expr.text(), text);
    EXPECT_EQ(parsed(expr.text()), expr) << text;
  }
}

TEST(SizeExpr, FoldsNumbersAndSubstitutes) {
  EXPECT_EQ(parsed("2 + 3 * 4").constant(), 14);
  EXPECT_EQ(parsed("1 // 0").constant(), std::nullopt);
  SizeExpr expr = parsed("q_heads // kv_heads + batch");
  SizeExpr partly = expr.substitute([](std::string_view name) -> std::optional<std::int64_t> {
    return name == "q_heads" ? std::optional<std::int64_t>(8)
                             : name == "kv_heads" ? std::optional<std::int64_t>(2) : std::nullopt;
  });
  EXPECT_EQ(partly.text(), "4 + batch");
  EXPECT_EQ(expr.names(), (std::vector<std::string>{"q_heads", "kv_heads", "batch"}));
  EXPECT_EQ(parsed("q_len").asName(), "q_len");
  EXPECT_EQ(parsed("q_len + 1").asName(), std::nullopt);
}

TEST(SizeExpr, RefusesBadTextWithTheColumn) {
  EXPECT_EQ(errorOf(""), "column 1: expected a number, a name or `(` at the end");
  EXPECT_EQ(errorOf("a +"), "column 4: expected a number, a name or `(` at the end");
  EXPECT_EQ(errorOf("a b"), "column 3: expected an operator or the end, but got `b`");
  EXPECT_EQ(errorOf("a / b"), "column 3: expected an operator or the end, but got `/`");
  EXPECT_EQ(errorOf("pow(a, b)"), "column 1: unknown function `pow`; there are min, max and ceildiv");
  EXPECT_EQ(errorOf("min(a b)"), "column 7: expected `,`");
  EXPECT_EQ(errorOf("(a"), "column 3: expected `)`");
  EXPECT_EQ(errorOf("9223372036854775808"), "column 1: a number too large for 64 bits");
  EXPECT_EQ(errorOf("3x"), "column 2: expected an operator or the end, but got `x`");
  EXPECT_NE(errorOf(std::string(500, '(')).find("nested deeper than"), std::string::npos);
  EXPECT_NE(errorOf(std::string(9000, '1')).find("characters"), std::string::npos);
}

} // namespace attn
