// The inputs of a conformance case: random ones, with what column `values` puts into them.
#pragma once

#include "tests/conformance/Case.h"

#include "dsl/Evaluate.h"

namespace attn::conformance {

/// At the extents and scalars that `shape` binds (`batch=2,q_len=33,…`), as `attnc check --shape … --seed …` makes them
/// where `values` is Normal.
Result<dsl::EvaluationInput> makeInput(const dsl::TypedSpec &spec, const std::string &shape, Values values, std::uint64_t seed);

} // namespace attn::conformance
