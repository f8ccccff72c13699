// What the virtual GPU counted, for people and for machines.
#pragma once

#include "attn/Counters.h"

#include <nlohmann/json.hpp>

#include <string>

namespace attn::tools {

/// Classes that were executed, the most frequent first, a line each; then tensor, special function and memory work.
/// `tiles`: what to divide by for a second column, 0 for none.
std::string countersText(const WorkCounters &counters, double tiles = 0);
nlohmann::ordered_json countersJson(const WorkCounters &counters);

} // namespace attn::tools
