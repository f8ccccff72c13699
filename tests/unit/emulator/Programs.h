// Small PTX programs for the instructions that are more than a function of their operands: memory, warps, barriers,
// asynchronous copies, matrices, control. Each is run with cp.async completing early, late and by chance, must be free of
// findings, and must give the same words each time.
#pragma once

#include "runtime/emulator/Emulator.h"
#include "runtime/emulator/TensorMap.h"

#include <cstdint>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace attn::emulator::testing {

using Words = std::vector<std::uint32_t>;

/// In `body`: %in0 … %in3 and %out are generic addresses of the buffers, %thread is the linear thread index in the grid,
/// %mine is %out + 4 · %thread, %mine8 is %out + 8 · %thread. Free registers: %p0 … %p31, %h0 … %h31 (16 bits),
/// %r0 … %r63 (32), %d0 … %d63 (64).
struct Program {
  std::string body;
  std::string declarations = {}; ///< at module level
  std::vector<Words> inputs = {};
  std::size_t outputs = 32; ///< words
  Dim3 grid = {}, block = {32, 1, 1};
  std::uint32_t dynamicShared = 0;
  std::string target = "sm_90";
  /// %map0 … %map3 are the generic addresses of tensor maps; the map's `address` is the number of an input, or their count
  /// for the output.
  std::vector<TensorMap> maps = {};
};

/// The module of a program, or only its entry under another name.
std::string textOf(const Program &program);
std::string entryOf(const Program &program, const std::string &name);

/// The output words, zero where nothing was stored. Reports findings and differences through GoogleTest.
Words run(const Program &program);

/// (opcode, row) of each instruction that a program executed in this process.
std::set<std::pair<std::string, std::string>> &executed();
/// The programs run in this process.
std::vector<Program> &programsRun();

/// The value of 32 lanes given by `f(lane)`.
template <typename F> Words lanes(F f, unsigned count = 32) {
  Words words(count);
  for (unsigned lane = 0; lane < count; ++lane)
    words[lane] = static_cast<std::uint32_t>(f(lane));
  return words;
}

/// A named group of programs; all of them run in the test of coverage too.
struct ProgramCase {
  const char *name;
  void (*run)();
};
inline void PrintTo(const ProgramCase &each, std::ostream *stream) { *stream << each.name; }
const std::vector<ProgramCase> &programCases();

std::vector<ProgramCase> memoryCases();
std::vector<ProgramCase> atomicCases();
std::vector<ProgramCase> warpCases();
std::vector<ProgramCase> blockCases();
std::vector<ProgramCase> asyncCases();
std::vector<ProgramCase> matrixCases();
std::vector<ProgramCase> controlCases();
std::vector<ProgramCase> mbarrierCases();
std::vector<ProgramCase> tensorCopyCases();
std::vector<ProgramCase> warpgroupCases();

} // namespace attn::emulator::testing
