// The reference: a specification evaluated in float64 on host tensors, exactly as docs/language.md says. It settles what
// a specification means; `attnc check` and all numeric tests compare with it. Slow and plain by intent, free of LLVM.
//
// "Meaning is real arithmetic": nothing is rounded. On request a second evaluation runs beside the first which rounds
// where a kernel of the FlashAttention-2 kind does, and so gives the error that such a kernel has on these very inputs
// (support/Tolerances.h, docs/numerics.md).
#pragma once

#include "attn/Result.h"
#include "dsl/TypedSpec.h"
#include "support/HostTensor.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace attn::dsl {

/// What is bound at launch. Tensors of layout bhsd lie as those of bshd: batch, rows, heads, channels.
struct EvaluationInput {
  /// batch, q_len, kv_len, and those that nothing fixes. In layouts ragged and paged the lengths are of the longest
  /// request, and may be left out beside the tensors that fix them (RequestRows.h).
  std::map<std::string, std::int64_t, std::less<>> extents;
  std::map<std::string, double, std::less<>> scalars;        ///< by parameter; `softmax_scale` where it is `runtime`
  std::map<std::string, HostTensor, std::less<>> tensors;    ///< query, key, value and parameters, those that are used
};

struct EvaluateOptions {
  bool emulateKernel = false;         ///< fill the `emulated` and `noise` members
  std::int64_t emulatedBlock = 64;    ///< keys between two updates of the running maximum
  bool tf32 = false;                  ///< the emulated kernel rounds f32 operands of products to tf32
  bool approximateTanh = false;       ///< its `tanh` in a score has relative errors of 2^-11
  bool float8Scores = false;          ///< it multiplies query and key as 8-bit floats (Float8Sum.h)
  bool float8Probs = false;           ///< and probs, of 8 bits by the specification, with value
  unsigned threads = 2;
};

/// All in float64. A row is one (request, query head, query row): rows are stored as [batch, q_len, q_heads] for `out`,
/// as [batch, q_heads, q_len] for numbers of a row; in layouts ragged and paged both as [rows of all requests, q_heads].
struct EvaluationOutput {
  std::vector<std::int64_t> outShape;    ///< that of rows, and the length of out
  std::vector<std::int64_t> rowShape;    ///< of numbers of a row
  std::vector<double> out;
  std::vector<double> lse, maxScore;     ///< empty without softmax

  /// What a kernel gives that rounds query, key, value and probs to their types, computes scores in f32 and rounds `out`.
  std::vector<double> emulatedOut, emulatedLse, emulatedMaxScore;
  /// The size of the error that independent roundings give an element of a row: of `out` (root mean square over
  /// channels), of `lse`, of `max_score`. Unlike the emulated error it is never small by chance.
  std::vector<double> outNoise, lseNoise, maxScoreNoise;
  bool isAllF32 = false;   ///< nothing that leads to `out` is rounded to less than f32
};

/// Fails on missing or ill-shaped tensors, and where the specification leaves its domain on these values (an index out
/// of range, an overflow of i32, a division by zero), then with the place in the specification and the point.
Result<EvaluationOutput> evaluate(const TypedSpec &spec, const EvaluationInput &input, const EvaluateOptions &options = {});

/// The values of extents that `input` binds, with `q_heads` and `kv_heads` filled in from the properties.
Result<std::map<std::string, std::int64_t, std::less<>>> boundExtents(const TypedSpec &spec, const EvaluationInput &input);

} // namespace attn::dsl
