// What the mask of `attnc explain` reads: numbers by --shape, tensors by --input, the rest as `attnc check` makes it.
#pragma once

#include "tools/attnc/TensorFile.h"

#include "driver/Compiler.h"
#include "dsl/TypedSpec.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace attn::tools {

class ExplainInputs {
public:
  /// `values` and `tensors` are what the user gave. Extents that neither fixes: batch 1, q_len and kv_len 2048 or the one
  /// that is given. Fails where a tensor's shape and a number contradict each other.
  static Result<ExplainInputs> make(const driver::CompileRequest &request, const PlanManifest &manifest,
                                    std::map<std::string, double> values, NamedTensors tensors, std::uint64_t seed);

  /// Extents and scalars by name.
  const std::map<std::string, double> &values() const { return numbers; }
  std::int64_t extent(const std::string &name) const { return static_cast<std::int64_t>(numbers.at(name)); }
  /// A tensor by name, generated on first use; null if there is none or it cannot be made.
  const HostTensor *tensor(std::string_view name);
  /// What was looked at and where it came from, empty if nothing was.
  std::string origins() const;

private:
  std::unique_ptr<dsl::TypedSpec> spec;                ///< null when started from a later stage
  std::map<std::string, double> numbers;
  NamedTensors given, generated;
  std::vector<std::string> usedGiven;
  std::vector<std::string> generatedNumbers;           ///< `name = value`
  std::uint64_t seed = 1;
};

} // namespace attn::tools
