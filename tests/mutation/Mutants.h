// Kernels broken on purpose: every mutant of a PTX kernel lacks one piece of its synchronisation, or has it in the wrong
// place or with the wrong number.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace attn::mutation {

struct Mutant {
  std::string change;      ///< "deleted", "one place up", "parity flipped", …
  unsigned line = 0;       ///< in the text it was made from
  std::string instruction; ///< as it stands there
  std::string text;        ///< the whole module
};

/// All mutants of `entry`: each barrier, fence, wait, commit, arrival and announcement deleted, moved past the next operation
/// before or behind it that it has to be ordered with (inside its basic block), or with another count, parity or number of
/// bytes. Empty when the text cannot be parsed.
std::vector<Mutant> mutantsOf(std::string_view text, std::string_view entry);

} // namespace attn::mutation
