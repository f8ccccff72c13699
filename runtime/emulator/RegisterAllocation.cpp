// Slots for virtual registers: liveness over the control-flow graph, then a linear scan. LLVM names thousands of registers,
// of which few are live at once; sharing slots keeps a warp's planes in the cache.
//
// Liveness of one lane is enough even where lanes diverge: registers are written for executing lanes only, so a slot that
// two registers share never mixes lanes that are at different places.
#include "runtime/emulator/Decode.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <queue>

namespace attn::emulator {

namespace {

/// Above this many bits of liveness, each register keeps a slot of its own.
constexpr std::uint64_t kMaxLivenessBits = std::uint64_t(1) << 31;

using BitSet = std::vector<std::uint64_t>;

struct Block {
  std::uint32_t begin = 0, end = 0;
  std::vector<std::uint32_t> successors;
  BitSet used, defined, liveIn, liveOut;
};

struct Interval {
  std::uint32_t reg = 0;
  std::uint64_t start = std::numeric_limits<std::uint64_t>::max(), end = 0;

  void cover(std::uint64_t position) {
    start = std::min(start, position);
    end = std::max(end, position);
  }
};

template <typename F> void forEachUse(const Draft &draft, F f) {
  for (std::uint32_t reg : {draft.inst.a, draft.inst.b, draft.inst.c})
    if (reg != kNoRegister)
      f(reg);
  if (!draft.definesD && draft.inst.d != kNoRegister)
    f(draft.inst.d);
  for (std::size_t i = draft.listDefines; i < draft.list.size(); ++i)
    f(draft.list[i]);
}

template <typename F> void forEachDefinition(const Draft &draft, F f) {
  if (draft.definesD && draft.inst.d != kNoRegister)
    f(draft.inst.d);
  for (std::size_t i = 0; i < draft.listDefines; ++i)
    f(draft.list[i]);
}

class Allocator {
public:
  Allocator(Program &program, std::vector<Draft> &drafts, const std::vector<VirtualRegister> &registers)
      : program(program), drafts(drafts), registers(registers), slotOf(registers.size(), kNoRegister) {}

  void run() {
    placeFixed();
    findBlocks();
    if (std::uint64_t(blocks.size()) * registers.size() * 4 > kMaxLivenessBits)
      placeEach();
    else {
      solveLiveness();
      scan(intervals());
    }
    rewrite();
  }

private:
  std::uint32_t take(bool wide) {
    std::uint32_t slot = next;
    next += wide ? 2 : 1;
    return slot;
  }

  /// Constants and special registers come first: they are what the register image copies.
  void placeFixed() {
    for (std::uint32_t reg = 0; reg < registers.size(); ++reg)
      if (registers[reg].fixed)
        slotOf[reg] = take(registers[reg].wide);
  }

  void placeEach() {
    for (std::uint32_t reg = 0; reg < registers.size(); ++reg)
      if (!registers[reg].fixed)
        slotOf[reg] = take(registers[reg].wide);
  }

  void findBlocks() {
    std::vector<bool> starts(drafts.size() + 1, false);
    starts[0] = true;
    for (std::size_t i = 0; i < drafts.size(); ++i) {
      for (std::uint32_t target : drafts[i].targets)
        starts[target] = true;
      if (!drafts[i].targets.empty() || drafts[i].endsPath)
        starts[i + 1] = true;
    }
    std::vector<std::uint32_t> blockAt(drafts.size() + 1, 0);
    for (std::uint32_t i = 0; i < drafts.size(); ++i) {
      if (starts[i])
        blocks.push_back({i, i, {}, {}, {}, {}, {}});
      blockAt[i] = static_cast<std::uint32_t>(blocks.size() - 1);
      blocks.back().end = i + 1;
    }
    for (Block &block : blocks) {
      const Draft &last = drafts[block.end - 1];
      for (std::uint32_t target : last.targets)
        block.successors.push_back(blockAt[target]);
      if (!last.endsPath && block.end < drafts.size())
        block.successors.push_back(blockAt[block.end]);
    }
  }

  static bool test(const BitSet &set, std::uint32_t bit) { return set[bit / 64] >> (bit % 64) & 1; }
  static void add(BitSet &set, std::uint32_t bit) { set[bit / 64] |= std::uint64_t(1) << (bit % 64); }

  void solveLiveness() {
    std::size_t words = (registers.size() + 63) / 64;
    for (Block &block : blocks) {
      for (BitSet *set : {&block.used, &block.defined, &block.liveIn, &block.liveOut})
        set->assign(words, 0);
      for (std::uint32_t i = block.begin; i < block.end; ++i) {
        forEachUse(drafts[i], [&](std::uint32_t reg) {
          if (!test(block.defined, reg))
            add(block.used, reg);
        });
        // A guarded definition leaves other lanes their value.
        bool keeps = drafts[i].inst.guard != kNoPredicate;
        forEachDefinition(drafts[i], [&](std::uint32_t reg) {
          if (!keeps)
            add(block.defined, reg);
          else if (!test(block.defined, reg))
            add(block.used, reg);
        });
      }
      block.liveIn = block.used;
    }
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t b = blocks.size(); b-- > 0;) {
        Block &block = blocks[b];
        for (std::size_t w = 0; w < words; ++w) {
          std::uint64_t out = 0;
          for (std::uint32_t successor : block.successors)
            out |= blocks[successor].liveIn[w];
          std::uint64_t in = block.used[w] | (out & ~block.defined[w]);
          changed |= in != block.liveIn[w] || out != block.liveOut[w];
          block.liveIn[w] = in;
          block.liveOut[w] = out;
        }
      }
    }
  }

  template <typename F> static void forEachMember(const BitSet &set, F f) {
    for (std::size_t w = 0; w < set.size(); ++w)
      for (std::uint64_t rest = set[w]; rest; rest &= rest - 1)
        f(static_cast<std::uint32_t>(w * 64 + static_cast<unsigned>(std::countr_zero(rest))));
  }

  /// Sources of instruction i are at 2i, results at 2i + 1: a result may take the slot of a source that ends there.
  std::vector<Interval> intervals() {
    std::vector<Interval> all(registers.size());
    for (const Block &block : blocks) {
      forEachMember(block.liveIn, [&](std::uint32_t reg) { all[reg].cover(2 * std::uint64_t(block.begin)); });
      forEachMember(block.liveOut, [&](std::uint32_t reg) { all[reg].cover(2 * std::uint64_t(block.end)); });
    }
    for (std::uint64_t i = 0; i < drafts.size(); ++i) {
      forEachUse(drafts[i], [&](std::uint32_t reg) { all[reg].cover(2 * i); });
      forEachDefinition(drafts[i], [&](std::uint32_t reg) { all[reg].cover(2 * i + 1); });
    }
    for (std::uint32_t reg = 0; reg < registers.size(); ++reg)
      if (registers[reg].pinned) {
        all[reg].cover(0);
        all[reg].cover(2 * std::uint64_t(drafts.size()) + 1);
      }
    std::vector<Interval> kept;
    for (std::uint32_t reg = 0; reg < registers.size(); ++reg) {
      all[reg].reg = reg;
      if (!registers[reg].fixed && all[reg].start <= all[reg].end)
        kept.push_back(all[reg]);
    }
    return kept;
  }

  void scan(std::vector<Interval> sorted) {
    std::sort(sorted.begin(), sorted.end(), [](const Interval &a, const Interval &b) {
      return a.start != b.start ? a.start < b.start : a.reg < b.reg;
    });
    using Ending = std::pair<std::uint64_t, std::uint32_t>;
    std::priority_queue<Ending, std::vector<Ending>, std::greater<>> active;
    std::vector<std::uint32_t> unused[2];
    for (const Interval &interval : sorted) {
      while (!active.empty() && active.top().first < interval.start) {
        std::uint32_t reg = active.top().second;
        unused[registers[reg].wide].push_back(slotOf[reg]);
        active.pop();
      }
      bool wide = registers[interval.reg].wide;
      if (unused[wide].empty()) {
        slotOf[interval.reg] = take(wide);
      } else {
        slotOf[interval.reg] = unused[wide].back();
        unused[wide].pop_back();
      }
      active.emplace(interval.end, interval.reg);
    }
  }

  std::uint32_t place(std::uint32_t reg) {
    if (reg == kNoRegister)
      return reg;
    if (slotOf[reg] == kNoRegister) // never used: any slot will do, but it needs one
      slotOf[reg] = take(registers[reg].wide);
    return slotOf[reg];
  }

  void rewrite() {
    for (Draft &draft : drafts) {
      Inst inst = draft.inst;
      auto pinned = [&](std::uint32_t reg) { return reg != kNoRegister && registers[reg].pinned; };
      inst.touchesPinned = pinned(inst.d) || pinned(inst.a) || pinned(inst.b) || pinned(inst.c) ||
                           std::any_of(draft.list.begin(), draft.list.end(), pinned);
      inst.definesD = draft.definesD;
      inst.listCount = static_cast<std::uint16_t>(draft.list.size());
      inst.listDefines = static_cast<std::uint16_t>(draft.listDefines);
      inst.d = place(inst.d), inst.a = place(inst.a), inst.b = place(inst.b), inst.c = place(inst.c);
      if (!draft.list.empty()) {
        auto list = std::make_unique<std::uint32_t[]>(draft.list.size());
        std::transform(draft.list.begin(), draft.list.end(), list.get(), [&](std::uint32_t reg) { return place(reg); });
        inst.list = list.get();
        program.lists.push_back(std::move(list));
      }
      program.code.push_back(inst);
    }
    for (ConstantSlot &constant : program.constants)
      constant.slot = place(constant.slot);
    for (SymbolSlot &symbol : program.symbols)
      symbol.slot = place(symbol.slot);
    for (std::uint32_t &slot : program.specialSlots)
      slot = place(slot);
    program.slots = next;
  }

  Program &program;
  std::vector<Draft> &drafts;
  const std::vector<VirtualRegister> &registers;
  std::vector<std::uint32_t> slotOf;
  std::vector<Block> blocks;
  std::uint32_t next = 0;
};

} // namespace

void allocateRegisters(Program &program, std::vector<Draft> &drafts, const std::vector<VirtualRegister> &registers) {
  Allocator(program, drafts, registers).run();
}

} // namespace attn::emulator
