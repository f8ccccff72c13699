// Loops of a disassembled kernel, by dominators: blocks, their graph, natural loops (Aho, Lam, Sethi, Ullman, 9.6).
#include "tools/attnc/Sass.h"

#include <algorithm>
#include <map>
#include <set>

namespace attn::tools {

namespace {

struct Block {
  std::size_t begin = 0, end = 0;
  std::vector<std::size_t> successors, predecessors;
};

/// A loop as a set of blocks, with the sources of its back edges.
struct BlockLoop {
  std::size_t header = 0;
  std::set<std::size_t> blocks;
  std::vector<std::size_t> latches;
};

class Graph {
public:
  explicit Graph(const SassFunction &function) : function(function) {
    cut();
    connect();
    dominate();
  }
  std::vector<BlockLoop> loops() const;
  bool dominates(std::size_t above, std::size_t below) const { return dominators[below][above]; }
  const std::vector<Block> &all() const { return blocks; }

private:
  void cut();
  void connect();
  void dominate();

  const SassFunction &function;
  std::vector<Block> blocks;
  std::vector<std::vector<bool>> dominators;
};

} // namespace

static bool starts(const SassInstruction &instruction, std::string_view root) {
  return instruction.opcode == root || instruction.opcode.starts_with(std::string(root) + ".");
}

static bool endsBlock(const SassFunction &function, std::size_t index) {
  const SassInstruction &instruction = function.code[index];
  return function.targets[index] >= 0 || starts(instruction, "EXIT") || starts(instruction, "RET") || starts(instruction, "BRX");
}

/// Whether control may pass on to the next instruction: a guard, or a condition among the operands.
static bool fallsThrough(const SassFunction &function, std::size_t index) {
  const SassInstruction &instruction = function.code[index];
  if (!instruction.guard.empty())
    return true;
  if (starts(instruction, "EXIT") || starts(instruction, "RET") || starts(instruction, "BRX"))
    return false;
  return function.targets[index] < 0 || instruction.operands.find(',') != std::string::npos;
}

void Graph::cut() {
  std::set<std::size_t> leaders = {0};
  for (std::size_t i = 0; i < function.code.size(); ++i) {
    if (function.targets[i] >= 0)
      leaders.insert(static_cast<std::size_t>(function.targets[i]));
    if (endsBlock(function, i) && i + 1 < function.code.size())
      leaders.insert(i + 1);
  }
  for (std::size_t leader : leaders) {
    if (!blocks.empty())
      blocks.back().end = leader;
    blocks.push_back({.begin = leader, .end = function.code.size(), .successors = {}, .predecessors = {}});
  }
}

void Graph::connect() {
  std::map<std::size_t, std::size_t> blockAt;
  for (std::size_t b = 0; b < blocks.size(); ++b)
    blockAt[blocks[b].begin] = b;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    std::size_t last = blocks[b].end - 1;
    if (function.targets[last] >= 0)
      blocks[b].successors.push_back(blockAt.at(static_cast<std::size_t>(function.targets[last])));
    if (fallsThrough(function, last) && b + 1 < blocks.size())
      blocks[b].successors.push_back(b + 1);
    for (std::size_t next : blocks[b].successors)
      blocks[next].predecessors.push_back(b);
  }
}

/// Blocks that nothing leads to (called functions) are roots of their own.
void Graph::dominate() {
  const std::size_t count = blocks.size();
  auto isRoot = [&](std::size_t b) { return b == 0 || blocks[b].predecessors.empty(); };
  dominators.assign(count, std::vector<bool>(count, true));
  for (std::size_t b = 0; b < count; ++b)
    if (isRoot(b)) {
      dominators[b].assign(count, false);
      dominators[b][b] = true;
    }
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t b = 0; b < count; ++b) {
      if (isRoot(b))
        continue;
      std::vector<bool> meet(count, true);
      for (std::size_t before : blocks[b].predecessors)
        for (std::size_t i = 0; i < count; ++i)
          meet[i] = meet[i] && dominators[before][i];
      meet[b] = true;
      changed |= meet != dominators[b];
      dominators[b] = std::move(meet);
    }
  }
}

std::vector<BlockLoop> Graph::loops() const {
  std::map<std::size_t, BlockLoop> byHeader;
  for (std::size_t b = 0; b < blocks.size(); ++b)
    for (std::size_t header : blocks[b].successors) {
      if (!dominates(header, b))
        continue;
      BlockLoop &loop = byHeader[header];
      loop.header = header;
      loop.blocks.insert(header);
      loop.latches.push_back(b);
      std::vector<std::size_t> open = {b};
      while (!open.empty()) {
        std::size_t block = open.back();
        open.pop_back();
        if (loop.blocks.insert(block).second)
          open.insert(open.end(), blocks[block].predecessors.begin(), blocks[block].predecessors.end());
      }
    }
  std::vector<BlockLoop> out;
  for (auto &[header, loop] : byHeader)
    out.push_back(std::move(loop));
  return out;
}

namespace {
/// A way from the header to a block, and what is on it.
struct Way {
  bool isKnown = false;
  double macs = 0;
  std::size_t instructions = 0;
  std::size_t before = 0; ///< the block it came from; itself for the header
};
} // namespace

/// The best way through an iteration: most products first, then fewest instructions, or most of them.
static std::vector<std::size_t> bestWay(const SassFunction &function, const Graph &graph, const BlockLoop &loop, bool wantsShort) {
  std::map<std::size_t, Way> ways;
  auto isBetter = [&](const Way &way, const Way &than) {
    if (!than.isKnown || way.macs != than.macs)
      return !than.isKnown || way.macs > than.macs;
    return wantsShort ? way.instructions < than.instructions : way.instructions > than.instructions;
  };
  auto extended = [&](Way way, std::size_t from, std::size_t b) {
    const Block &block = graph.all()[b];
    for (std::size_t i = block.begin; i < block.end; ++i)
      way.macs += productOf(function.code[i]).macs;
    way.instructions += block.end - block.begin;
    way.before = from;
    way.isKnown = true;
    return way;
  };
  ways[loop.header] = extended({}, loop.header, loop.header);
  // Back edges left out there are no cycles, so that this ends; blocks are few.
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t b : loop.blocks)
      for (std::size_t next : graph.all()[b].successors) {
        if (!ways[b].isKnown || !loop.blocks.contains(next) || graph.dominates(next, b))
          continue;
        if (Way way = extended(ways[b], b, next); isBetter(way, ways[next])) {
          ways[next] = way;
          changed = true;
        }
      }
  }
  std::size_t last = loop.latches.front();
  for (std::size_t latch : loop.latches)
    if (isBetter(ways[latch], ways[last]))
      last = latch;
  std::vector<std::size_t> instructions;
  for (std::size_t b = last;; b = ways[b].before) {
    for (std::size_t i = graph.all()[b].begin; i < graph.all()[b].end; ++i)
      instructions.push_back(i);
    if (b == loop.header)
      break;
  }
  std::sort(instructions.begin(), instructions.end());
  return instructions;
}

static SassLoop instructionsOf(const SassFunction &function, const Graph &graph, const BlockLoop &loop) {
  SassLoop out{bestWay(function, graph, loop, true), bestWay(function, graph, loop, false), {}};
  for (std::size_t b : loop.blocks)
    for (std::size_t i = graph.all()[b].begin; i < graph.all()[b].end; ++i)
      out.all.push_back(i);
  return out;
}

/// Innermost loops among those with an instruction that `isWanted`, without one that `isUnwanted`.
template <typename Wanted, typename Unwanted>
static std::vector<SassLoop> loopsWith(const SassFunction &function, Wanted isWanted, Unwanted isUnwanted) {
  Graph graph(function);
  auto contains = [&](const BlockLoop &loop, auto predicate) {
    return std::any_of(loop.blocks.begin(), loop.blocks.end(), [&](std::size_t b) {
      const Block &block = graph.all()[b];
      return std::any_of(function.code.begin() + static_cast<std::ptrdiff_t>(block.begin),
                         function.code.begin() + static_cast<std::ptrdiff_t>(block.end), predicate);
    });
  };
  std::vector<BlockLoop> wanted = graph.loops();
  std::erase_if(wanted, [&](const BlockLoop &loop) { return !contains(loop, isWanted) || contains(loop, isUnwanted); });
  std::vector<SassLoop> out;
  for (const BlockLoop &loop : wanted) {
    bool isInnermost = std::none_of(wanted.begin(), wanted.end(), [&](const BlockLoop &other) {
      return other.header != loop.header && loop.blocks.contains(other.header) && other.blocks.size() < loop.blocks.size();
    });
    if (isInnermost)
      out.push_back(instructionsOf(function, graph, loop));
  }
  return out;
}

static bool isProduct(const SassInstruction &instruction) { return instruction.kind == InstructionClass::Tensor; }

std::vector<SassLoop> productLoops(const SassFunction &function) {
  return loopsWith(function, isProduct, [](const SassInstruction &) { return false; });
}

std::vector<SassLoop> copyLoops(const SassFunction &function) {
  return loopsWith(
      function,
      [](const SassInstruction &each) { return starts(each, "UTMALDG") || starts(each, "LDGSTS") || starts(each, "UBLKCP"); }, isProduct);
}

/// The number of groups that `WARPGROUP.DEPBAR.LE gsb0, 0x1` leaves pending; nothing for other instructions.
static int pendingAfter(const SassInstruction &instruction) {
  if (!instruction.opcode.starts_with("WARPGROUP.DEPBAR"))
    return -1;
  std::size_t comma = instruction.operands.find("0x");
  return comma == std::string::npos ? 0 : std::stoi(instruction.operands.substr(comma + 2), nullptr, 16);
}

SassOverlap overlapOf(const SassFunction &function, const SassLoop &loop) {
  SassOverlap overlap;
  bool isBetween = false;
  unsigned since = 0, products = 0, waitsForAll = 0;
  for (std::size_t index : loop.shortest) {
    const SassInstruction &instruction = function.code[index];
    products += isProduct(instruction);
    if (int pending = pendingAfter(instruction); pending >= 0) {
      overlap.hasWaits = true;
      overlap.exponentialsBetween += pending == 0 && isBetween ? since : 0;
      overlap.leavesInFlight |= pending > 0;
      waitsForAll += pending == 0;
      isBetween = pending > 0;
      since = 0;
    }
    bool isExponential = instruction.opcode.starts_with("MUFU.EX2");
    overlap.exponentials += isExponential;
    since += isExponential;
  }
  overlap.isSerialized = products > 1 && waitsForAll >= products;
  return overlap;
}

} // namespace attn::tools
