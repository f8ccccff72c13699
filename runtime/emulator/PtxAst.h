// The syntax tree of a PTX module. Names are resolved: an operand holds indices into the tables of its function or module.
// Text views point into the source that `Module` owns.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace attn::emulator::ptx {

enum class ScalarType : std::uint8_t {
  None, Pred, B8, B16, B32, B64, B128, U8, U16, U32, U64, S8, S16, S32, S64,
  F16, F16x2, BF16, BF16x2, TF32, F32, F64, U16x2, S16x2, E4M3x2, E5M2x2, E4M3, E5M2,
};

/// `None` for a word that is no type; `word` without the dot.
ScalarType parseScalarType(std::string_view word);
std::string_view spelling(ScalarType type);
/// Bits of a value: 1 for a predicate, 32 for the packed pairs.
unsigned bitWidth(ScalarType type);
bool isFloat(ScalarType type);
bool isSigned(ScalarType type);

enum class Space : std::uint8_t { Generic, Global, Shared, Local, Const, Param };
std::string_view spelling(Space space);

struct Operand {
  enum class Kind : std::uint8_t {
    Register, ///< `index` into Function::registers
    Special,  ///< `index` into specialRegisterName
    Integer,  ///< `value`
    Float32,  ///< `value` holds the bits
    Float64,
    Symbol,   ///< `index` into Module::variables, plus `value` bytes
    Function, ///< `index` into Module::functions
    Label,    ///< `index` into Function::labels
    Address,  ///< `[parts[0] + value]`, and more parts for `[map, {…}]`
    Vector,   ///< `{parts}`; also the parenthesised lists of a call
    Sink,     ///< `_`
  };
  Kind kind = Kind::Sink;
  bool negated = false; ///< `!p`
  bool isPair = false;  ///< `first|second`: this is the first, `parts.back()` the second
  std::uint32_t index = 0;
  std::int64_t value = 0;
  std::vector<Operand> parts;
};

/// Where an instruction came from, as `.loc` said; file 0 means nowhere.
struct SourceLocation {
  std::uint32_t file = 0, line = 0;
};

struct Instruction {
  std::string_view opcode; ///< the whole of it: `ld.global.v4.b32`
  std::string_view root;
  std::vector<std::string_view> modifiers;
  std::vector<Operand> operands;
  std::int32_t guard = -1; ///< register index of `@p`
  bool guardNegated = false;
  std::uint32_t line = 0;
  SourceLocation location;
  const struct InstructionRow *row = nullptr;
};

struct Register {
  std::string name;
  ScalarType type = ScalarType::None;
};

struct Label {
  std::string name;
  std::uint32_t position = 0; ///< index of the instruction it stands before
  std::vector<std::uint32_t> targets; ///< for the name of a `.branchtargets` list: its labels
};

/// A symbol's address inside an initialiser.
struct Relocation {
  std::uint64_t offset = 0;
  std::uint32_t variable = 0;
  std::int64_t addend = 0;
  std::uint8_t bytes = 8;
};

struct Variable {
  std::string name;
  Space space = Space::Global;
  ScalarType type = ScalarType::B8;
  std::uint32_t vectorWidth = 1;
  std::uint32_t alignment = 1;
  std::uint64_t bytes = 0;
  bool isArray = false;
  bool isExtern = false;  ///< for shared memory: the dynamic part
  bool isParameter = false; ///< of an entry or function, as opposed to a call's `.param` variable
  std::string_view linkage; ///< `.visible`, `.weak`, …, or empty
  std::string_view pointee; ///< `.ptr .global .align 1`, kept for printing
  std::vector<std::uint8_t> initial;
  std::vector<Relocation> relocations;
  std::uint32_t line = 0;
};

struct Function {
  std::string name;
  bool isEntry = false;
  bool hasBody = false;
  std::string_view linkage;
  std::vector<std::uint32_t> results, parameters; ///< indices into Module::variables
  std::vector<std::uint32_t> locals;              ///< variables declared inside
  std::vector<Register> registers;
  std::vector<Label> labels;
  std::vector<Instruction> instructions;
  std::vector<std::string> directives; ///< `.reqntid 128`, as written, for printing
  std::uint32_t requiredBlock[3] = {0, 0, 0};
  std::uint32_t maxThreads = 0;
  std::uint32_t maxRegisters = 0; ///< `.maxnreg`; 0: not given
  std::uint32_t line = 0;
};

struct Module {
  std::string text;
  std::string name;
  unsigned version = 0; ///< times ten
  std::string target;
  unsigned smVersion = 0;        ///< 80 for sm_80
  bool architectureSpecific = false; ///< the `a` of sm_90a
  std::vector<Variable> variables;
  std::vector<std::uint32_t> moduleVariables; ///< those declared at module level
  std::vector<std::unique_ptr<Function>> functions;
  std::vector<std::string> files;      ///< by the number of `.file`
  std::vector<std::uint32_t> lineStart; ///< offset of each line, from line 1 at [0]

  std::string_view lineText(std::uint32_t line) const;
};

/// Number of special registers, and their names with `%`; -1 when `name` is none.
inline constexpr int kSpecialRegisters = 47;
std::string_view specialRegisterName(std::uint32_t index);
int specialRegisterIndex(std::string_view name);

/// Prints a module so that parsing the result gives an equal module.
std::string print(const Module &module);
std::string print(const Module &module, const Function &function, const Instruction &instruction);

} // namespace attn::emulator::ptx
