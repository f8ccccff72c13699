// What a fuzzer provides: one function over bytes. Linked with libFuzzer (ATTN_FUZZ, clang) or with Replay.cpp, which runs
// a corpus and mutates it by itself, so that the corpus is replayed wherever the tests run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

/// Runs the input; aborts when something promised does not hold.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);

namespace attn::fuzz {

/// Words the mutator of Replay.cpp puts in.
std::span<const std::string_view> dictionary();

/// Says what did not hold, and aborts.
[[noreturn]] inline void fail(const std::string &what) {
  std::fprintf(stderr, "fuzz: %s\n", what.c_str());
  std::abort();
}

} // namespace attn::fuzz
