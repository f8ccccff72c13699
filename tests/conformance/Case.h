// What a row of Cases.def says: one specification, the types it is compiled for, the shapes it runs at.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attn::conformance {

/// What stands in query, key and value.
enum class Values : std::uint8_t {
  Normal,          ///< normal numbers, rounded to the type
  Huge,            ///< 40 times as large: scores of thousands, weights of one key each
  Tiny,            ///< a millionth: subnormal numbers of f16
  TinyParameters,  ///< floating tensor parameters are subnormal numbers of f16
  LastKeyNan,      ///< the last key row is NaN: only rows that see it may become so
  LastKeyInf,
  LastValueNan,    ///< likewise the last value row
  LastValueInf,
  SomeValuesNan,   ///< every 11th value row has channels that are NaN, infinite, or both in turn, by request and head
  OneKeyNan,       ///< the middle key row of request 0, head 0 is NaN
  SomeTableRowsNan, ///< likewise every 7th row of the tables among the parameters
  PastLengths,     ///< keys and values from `lengths[b]` on are NaN and infinite
  EvenRequestsNan, ///< ragged: keys and values of every other request are NaN, from the first on
};

/// Where tensors lie: tools/attnc/PlanRun.h, `MemoryOrder`.
enum class Memory : std::uint8_t { Contiguous, Gaps };

struct Case {
  const char *group;
  const char *name;
  const char *statements = "";          ///< in the braces, beside head_dim, dtype and heads
  const char *parameters = "";          ///< of the attention
  const char *heads = "q_heads: 4;  kv_heads: 2";
  const char *types = "f16/64 bf16/128";    ///< dtype/head_dim or dtype/head_dim/head_dim_v, by blanks
  const char *shapes = "";              ///< by blanks, each as `attnc check --shape` takes it; empty: kUsualShapes
  Values values = Values::Normal;
  Memory memory = Memory::Contiguous;
  const char *schedule = "";            ///< `--schedule`
  bool tf32 = false;                    ///< `--tf32`
  bool approximateTanh = false;         ///< `--approximate-tanh`
  const char *refused = nullptr;        ///< part of the located message with which the compiler refuses it today
};

/// One row, more keys than rows, more rows than keys, several tiles; none a multiple of a tile.
inline constexpr const char *kUsualShapes =
    "q_len=1,kv_len=131 batch=2,q_len=33,kv_len=77 q_len=100,kv_len=37 q_len=67,kv_len=259";

/// Types of one row of the table.
struct CaseType {
  std::string dtype;
  int headDim = 0, headDimV = 0;
  std::string name() const;
};

const std::vector<Case> &allCases();
std::vector<CaseType> typesOf(const Case &row);
std::vector<std::string> shapesOf(const Case &row);
/// The specification's text for one of the row's types.
std::string specText(const Case &row, const CaseType &type);

} // namespace attn::conformance
