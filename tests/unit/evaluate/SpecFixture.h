// A test fixture that analyses specifications and keeps them.
#pragma once

#include "dsl/Analyze.h"

#include <gtest/gtest.h>
#include <memory>
#include <string>

namespace attn::test {

class SpecFixture : public ::testing::Test {
protected:
  SpecFixture();
  ~SpecFixture() override;

  /// The only attention of `text`; null after the test has been failed with the messages.
  const dsl::TypedSpec *analyzed(const std::string &text, const dsl::AnalyzeOptions &options = {});
  const dsl::TypedSpec *analyzedFile(const std::string &path);

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace attn::test
