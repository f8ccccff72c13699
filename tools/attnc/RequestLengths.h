// Lengths that differ by request, of layouts ragged and paged: how `--shape` writes them, and the numbers beside a launch's
// tensors that follow from them.
#pragma once

#include "attn/Result.h"
#include "tools/attnc/PlanRun.h"

#include <map>
#include <string>

namespace attn::tools {

/// Reads `5/1/7` as lengths of three requests: each under its own name (`dsl::lengthName`), the longest under `extent`, and
/// `batch` if it is not there. Fails on what is no list, or of another number of requests than before.
Status addLengths(const std::string &extent, const std::string &text, std::map<std::string, double> &values);

/// Adds the longest lengths that the layout's tensors have to the numbers, where the plan needs them and they are not given.
void addLongestLengths(const PlanManifest &manifest, PlanInputs &inputs);

} // namespace attn::tools
