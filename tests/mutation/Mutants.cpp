#include "tests/mutation/Mutants.h"

#include "runtime/emulator/PtxParser.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

namespace attn::mutation {

using namespace attn::emulator::ptx;

namespace {

/// What an instruction is to those that order it.
enum Kind : unsigned {
  kOther = 0,
  kBarrier = 1 << 0, kWarpSync = 1 << 1, kProxyFence = 1 << 2, kInitFence = 1 << 3, kMemoryFence = 1 << 4,
  kCopy = 1 << 5, kCopyCommit = 1 << 6, kCopyWait = 1 << 7, kCopyArrive = 1 << 8,
  kTensorCopy = 1 << 9, kBulkCommit = 1 << 10, kBulkWait = 1 << 11,
  kProduct = 1 << 12, kProductFence = 1 << 13, kProductCommit = 1 << 14, kProductWait = 1 << 15,
  kInit = 1 << 16, kArrive = 1 << 17, kExpect = 1 << 18, kPhaseWait = 1 << 19,
  kShared = 1 << 20, ///< ordinary accesses to shared memory
};

constexpr unsigned kSynchronises = kBarrier | kWarpSync | kProxyFence | kInitFence | kMemoryFence | kCopyCommit | kCopyWait | kCopyArrive |
                                   kBulkCommit | kBulkWait | kProductFence | kProductCommit | kProductWait | kInit | kArrive | kExpect |
                                   kPhaseWait;

struct Place {
  const Instruction &instruction;
  Kind kind;
};

} // namespace

static bool has(const Instruction &instruction, std::string_view modifier) {
  return std::find(instruction.modifiers.begin(), instruction.modifiers.end(), modifier) != instruction.modifiers.end();
}

static Kind kindOfCopy(const Instruction &in) {
  if (has(in, "bulk"))
    return has(in, "commit_group") ? kBulkCommit : has(in, "wait_group") ? kBulkWait : has(in, "prefetch") ? kOther : kTensorCopy;
  if (has(in, "mbarrier"))
    return kCopyArrive;
  return has(in, "commit_group") ? kCopyCommit : has(in, "wait_group") || has(in, "wait_all") ? kCopyWait : kCopy;
}

static Kind kindOf(const Instruction &in) {
  if (in.root == "bar" || in.root == "barrier")
    return has(in, "warp") ? kWarpSync : kBarrier;
  if (in.root == "fence" || in.root == "membar")
    return has(in, "mbarrier_init") ? kInitFence : has(in, "proxy") ? kProxyFence : kMemoryFence;
  if (in.root == "cp" && has(in, "async"))
    return kindOfCopy(in);
  if (in.root == "wgmma")
    return has(in, "mma_async") ? kProduct : has(in, "fence") ? kProductFence : has(in, "commit_group") ? kProductCommit : kProductWait;
  if (in.root == "mbarrier")
    return has(in, "init") ? kInit : has(in, "expect_tx") ? kExpect : has(in, "arrive") || has(in, "arrive_drop") ? kArrive
           : has(in, "test_wait") || has(in, "try_wait") ? kPhaseWait : kOther;
  if (in.root == "ldmatrix" || in.root == "stmatrix" || ((in.root == "ld" || in.root == "st" || in.root == "atom" || in.root == "red") &&
                                                         (has(in, "shared") || has(in, "shared::cta"))))
    return kShared;
  return kOther;
}

/// What an instruction of this kind must not move past on its way up, or down. The other direction only makes it stronger: a
/// wait that comes earlier, an arrival that comes later. A fence may stand on either side of a barrier, but not behind what it is for.
static unsigned orderedWith(Kind kind, bool up) {
  switch (kind) {
  case kBarrier: return kShared | kCopy | kTensorCopy | kProduct | kInit | (up ? kCopyWait | kInitFence | kProductWait | kBulkWait : 0u);
  case kWarpSync: return kShared | kTensorCopy | unsigned(up ? kBulkWait : kArrive);
  case kProxyFence: return up ? unsigned(kShared) : kArrive | kProduct | kTensorCopy;
  case kInitFence: return up ? 0u : kBarrier;
  case kCopyCommit: return up ? kCopy : kCopyWait;
  case kCopyWait: return up ? unsigned(kCopyCommit) : kBarrier | kShared | kArrive;
  case kCopyArrive: return up ? kCopy : 0u;
  case kBulkCommit: return up ? kTensorCopy : kBulkWait;
  case kBulkWait: return up ? unsigned(kBulkCommit) : kBarrier | kWarpSync | kShared;
  case kProductFence: return up ? 0u : kProduct;
  case kProductCommit: return up ? kProduct : kProductWait;
  case kProductWait: return up ? kProductCommit : kArrive;
  case kInit: return up ? 0u : kBarrier;
  case kArrive: return up ? kProductWait | kShared | kWarpSync | kCopyWait | kProxyFence : 0u;
  default: return 0;
  }
}

static void registersOf(const Operand &operand, std::set<std::uint32_t> &out) {
  if (operand.kind == Operand::Kind::Register)
    out.insert(operand.index);
  for (const Operand &part : operand.parts)
    registersOf(part, out);
}

static std::set<std::uint32_t> registersOf(const Instruction &in) {
  std::set<std::uint32_t> out;
  if (in.guard >= 0)
    out.insert(static_cast<std::uint32_t>(in.guard));
  for (const Operand &operand : in.operands)
    registersOf(operand, out);
  return out;
}

/// Registers of sums, which stand between a product and its wait.
static std::set<std::uint32_t> sumsOf(const Function &function) {
  std::set<std::uint32_t> out;
  for (const Instruction &in : function.instructions)
    if (kindOf(in) == kProduct)
      registersOf(in.operands[0], out);
  return out;
}

static bool endsBlock(const Instruction &in) {
  return in.root == "bra" || in.root == "brx" || in.root == "ret" || in.root == "exit" || in.root == "call";
}

namespace {

/// Makes mutants of one function.
class Mutator {
public:
  Mutator(Module &module, std::unique_ptr<Function> &slot) : module(module), slot(slot), sums(sumsOf(*slot)) {}

  std::vector<Mutant> run() {
    const Function original = *slot;
    for (std::size_t i = 0; i < original.instructions.size(); ++i)
      if (kindOf(original.instructions[i]) & kSynchronises)
        mutate(original, i);
    return std::move(mutants);
  }

private:
  void mutate(const Function &original, std::size_t at) {
    const Instruction &in = original.instructions[at];
    const Kind kind = kindOf(in);
    add(original, at, "deleted", [&](Function &function) {
      if (kind == kPhaseWait)
        eraseBranch(function, at + 1);
      erase(function, at);
    });
    for (bool up : {true, false})
      if (std::optional<std::size_t> to = destination(original, at, up))
        add(original, at, up ? "one place up" : "one place down", [&](Function &function) { move(function, at, *to); });
    numbers(original, at, kind);
  }

  /// Other counts, parities and numbers of bytes.
  void numbers(const Function &original, std::size_t at, Kind kind) {
    const Instruction &in = original.instructions[at];
    auto changed = [&](const char *name, std::size_t operand, const char *opcode, std::int64_t by) {
      add(original, at, name, [&](Function &function) { adjust(function, at, operand, opcode, by); });
    };
    if (kind == kPhaseWait && has(in, "parity"))
      changed("parity flipped", 2, "xor.b32", 1);
    if (kind == kInit) {
      changed("one arrival more", 1, "add.s32", 1);
      changed("one arrival fewer", 1, "add.s32", -1);
    }
    if (kind == kExpect) {
      const std::size_t bytes = in.operands.size() - 1;
      changed("16 bytes more", bytes, "add.s32", 16);
      changed("16 bytes fewer", bytes, "add.s32", -16);
    }
    if (kind == kExpect && has(in, "arrive"))
      add(original, at, "arrives without announcing", [&](Function &function) {
        Instruction &arrival = function.instructions[at];
        arrival.opcode = "mbarrier.arrive.shared.b64";
        arrival.operands.pop_back();
      });
    if (kind == kBarrier && !has(in, "red") && in.operands.size() == 2) {
      changed("32 threads more", 1, "add.s32", 32);
      changed("32 threads fewer", 1, "add.s32", -32);
      changed("another barrier", 0, "xor.b32", 8);
    }
    if ((kind & (kCopyWait | kBulkWait | kProductWait)) && !in.operands.empty())
      add(original, at, "one group more may stay", [&](Function &function) { ++function.instructions[at].operands[0].value; });
  }

  template <typename Edit> void add(const Function &original, std::size_t at, const char *change, Edit edit) {
    *slot = original;
    edit(*slot);
    const Instruction &in = original.instructions[at];
    mutants.push_back({change, in.line, print(module, original, in), print(module)});
    *slot = original;
  }

  /// Just beyond the next operation that the instruction has to be ordered with; nothing where the block or its operands
  /// leave no way there.
  std::optional<std::size_t> destination(const Function &function, std::size_t at, bool up) const {
    const Instruction &in = function.instructions[at];
    const Kind kind = kindOf(in);
    const unsigned ordered = orderedWith(kind, up);
    if (!ordered)
      return {};
    const std::set<std::uint32_t> own = registersOf(in);
    auto labelAt = [&](std::size_t position) {
      return std::any_of(function.labels.begin(), function.labels.end(), [&](const Label &label) { return label.position == position; });
    };
    for (std::size_t i = at; up ? i > 0 && !labelAt(i) : i + 1 < function.instructions.size() && !labelAt(i + 1);) {
      i = up ? i - 1 : i + 1;
      const Instruction &other = function.instructions[i];
      if (endsBlock(other))
        return {};
      const std::set<std::uint32_t> touched = registersOf(other);
      const bool touchesSum = kind == kProductWait && !up && std::any_of(touched.begin(), touched.end(), [&](std::uint32_t r) { return sums.count(r) > 0; });
      if ((kindOf(other) & ordered) || touchesSum)
        return i;
      if (std::any_of(touched.begin(), touched.end(), [&](std::uint32_t r) { return own.count(r) > 0; }) && other.root != "mbarrier")
        return {};
    }
    return {};
  }

  static void erase(Function &function, std::size_t at) {
    function.instructions.erase(function.instructions.begin() + static_cast<std::ptrdiff_t>(at));
    for (Label &label : function.labels)
      label.position -= label.position > at;
  }

  /// The branch that repeats a wait.
  static void eraseBranch(Function &function, std::size_t from) {
    for (std::size_t i = from; i < std::min(from + 4, function.instructions.size()); ++i)
      if (function.instructions[i].root == "bra") {
        if (function.instructions[i].guard >= 0)
          erase(function, i);
        return;
      }
  }

  static void move(Function &function, std::size_t from, std::size_t to) {
    auto begin = function.instructions.begin();
    auto at = [&](std::size_t i) { return begin + static_cast<std::ptrdiff_t>(i); };
    if (to < from)
      std::rotate(at(to), at(from), at(from + 1));
    else
      std::rotate(at(from), at(from + 1), at(to + 1));
  }

  /// Puts `opcode new, operand, by` in front, and the new register in the operand's place.
  static void adjust(Function &function, std::size_t at, std::size_t operand, const char *opcode, std::int64_t by) {
    Operand number, target;
    number.kind = Operand::Kind::Integer;
    number.value = by;
    target.kind = Operand::Kind::Register;
    target.index = static_cast<std::uint32_t>(function.registers.size());
    function.registers.push_back({"%mutant", ScalarType::B32});
    Instruction made = function.instructions[at];
    Operand old = made.operands[operand];
    made.opcode = opcode;
    made.root = std::string_view(opcode).substr(0, 3);
    made.guard = -1;
    made.operands = {target, old, number};
    function.instructions[at].operands[operand] = target;
    function.instructions.insert(function.instructions.begin() + static_cast<std::ptrdiff_t>(at), made);
    for (Label &label : function.labels)
      label.position += label.position > at;
  }

  Module &module;
  std::unique_ptr<Function> &slot;
  std::set<std::uint32_t> sums;
  std::vector<Mutant> mutants;
};

} // namespace

std::vector<Mutant> mutantsOf(std::string_view text, std::string_view entry) {
  ParseError error;
  std::unique_ptr<Module> module = parseModule(text, "kernel.ptx", error);
  if (!module)
    return {};
  for (std::unique_ptr<Function> &function : module->functions)
    if (function->name == entry)
      return Mutator(*module, function).run();
  return {};
}

} // namespace attn::mutation
