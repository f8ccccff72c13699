// `attnc explain --sass`: the main loops of an assembled kernel, counted and held against a GPU's rates.
#pragma once

#include "tools/attnc/Ptxas.h"
#include "tools/attnc/Roofline.h"
#include "tools/attnc/Sass.h"

#include <nlohmann/json.hpp>

#include <array>
#include <map>
#include <string>
#include <vector>

namespace attn::tools {

using ClassCounts = std::array<unsigned, kInstructionClasses>;

/// The loop of one warp, an iteration by the shortest way: a tile without masks.
struct LoopReport {
  std::uint32_t begin = 0, end = 0;  ///< addresses of its first and last instruction
  ClassCounts shortest{}, longest{}; ///< of the longest way too: a tile with masks, waits that spin
  unsigned shortestTotal = 0, longestTotal = 0;
  double macs = 0;                   ///< of products
  UnitWork work;
  std::map<std::string, unsigned> byOpcode; ///< of the shortest way, without modifiers but for `MUFU.EX2` and its like
  std::vector<std::string> opcodes;  ///< of products and asynchronous copies, without modifiers: HGMMA, UTMALDG
  SassOverlap overlap;
};

struct KernelReport {
  std::string name;
  unsigned instructions = 0;
  std::vector<LoopReport> products, copies;     ///< consumers' loops; producers' loops
  std::vector<std::string> unknownOpcodes;
};

std::vector<KernelReport> reportKernels(const std::vector<SassFunction> &functions);

/// What one tile needs: `warps` warps execute `loop`, whose iteration covers `tiles` tiles. The fill of shared memory by
/// tensor copies is work of the producer and not in it.
Roofline loopRoofline(const LoopReport &loop, unsigned warps, double tiles, const GpuMachine &machine);

/// How many tiles of block_m x block_n an iteration of `warps` warps covers, if the products of a tile are `tileMacs` or,
/// with further products and padding, less than twice that; 1 where `tileMacs` is 0.
double tilesOf(const LoopReport &loop, unsigned warps, double tileMacs);

struct SassContext {
  unsigned warps = 0;       ///< that multiply
  double tileMacs = 0;      ///< block_m · block_n · (head_dim + head_dim_v)
  const GpuMachine *machine = nullptr;
};
void printSass(const std::vector<KernelReport> &kernels, const AssemblerReport &assembly, const SassContext &context);
nlohmann::ordered_json sassJson(const std::vector<KernelReport> &kernels, const AssemblerReport &assembly, const SassContext &context);

} // namespace attn::tools
