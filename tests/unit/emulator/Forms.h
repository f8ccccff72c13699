// Instruction forms: an opcode, the types of its operands, and an oracle that says from the PTX ISA what it computes. Each
// form becomes an entry of one PTX module that applies it to every tuple of operand values, one thread a tuple.
#pragma once

#include "runtime/emulator/Emulator.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace attn::emulator::testing {

using Word = std::uint64_t;

/// A full opcode, `cvt.rn.f16x2.f32`, and its parts.
struct Opcode {
  std::string text;
  std::vector<std::string> parts; ///< without the root

  explicit Opcode(std::string text);
  std::string root() const { return text.substr(0, text.find('.')); }
  bool has(std::string_view modifier) const;
  /// The type `fromEnd` modifiers before the last.
  const std::string &type(unsigned fromEnd = 0) const { return parts[parts.size() - 1 - fromEnd]; }
};

/// What a result has to be.
struct Expected {
  enum class Rule { Bits, Near, AnyNan, Anything } rule = Rule::Bits;
  Word bits = 0;
  double value = 0, relative = 0, absolute = 0; ///< Near: within the larger of the two bounds
  Word unordered = 0;                           ///< AnyNan: bits that may differ between NaNs are ignored

  Expected(Word bits) : bits(bits) {}
  static Expected anything();
  static Expected anyNan();
  static Expected near(double value, double relative, double absolute = 0);
};

using Oracle = std::function<Expected(const Opcode &, const Word *)>;

struct Form {
  std::string group;
  Opcode opcode;
  std::string result;               ///< `u32`, `pred`, or `pred2` for `p|q` (bit 0 is p, bit 1 is q)
  std::vector<std::string> sources; ///< types; a suffix `:shift` or `:bytes` picks other test values
  std::string operands;             ///< `$d, $0, $1`
  Oracle oracle;
};

/// `add{.rn|}{.ftz|}.f32` in all its combinations.
std::vector<std::string> expand(const std::string &pattern);

/// Collects forms. In types, `T` stands for the opcode's last type and `U` for the one before.
class Forms {
public:
  void add(const std::string &group, const std::string &pattern, const std::string &result, std::vector<std::string> sources,
           Oracle oracle, std::string operands = {});
  const std::vector<Form> &all() const { return forms; }

private:
  std::vector<Form> forms;
};

void addIntegerForms(Forms &forms);
void addBitForms(Forms &forms);
void addFloatForms(Forms &forms);
void addHalfForms(Forms &forms);
void addCompareForms(Forms &forms);
void addConvertForms(Forms &forms);
/// Conversions that the pattern of a row admits and PTX does not: `.sat` that cannot clamp, bf16 with 8-bit integers.
bool isRefusedConversion(const Opcode &opcode);
/// Forms that PTX has, and those it refuses.
const std::vector<Form> &allForms();
const std::vector<Form> &refusedForms();

unsigned bitsOf(std::string_view type);
bool isSigned(std::string_view type);
/// Test values of a type, edge cases first.
const std::vector<Word> &valuesOf(std::string_view type);

/// One PTX module with an entry `form0`, `form1`, … for each form.
std::string moduleOf(const std::vector<const Form *> &forms);

/// Runs the forms on the virtual GPU and reports each wrong result through GoogleTest. Returns the opcodes that ran, with
/// the rows that decoded them.
std::vector<std::pair<std::string, std::string>> check(const std::vector<const Form *> &forms);

} // namespace attn::emulator::testing
