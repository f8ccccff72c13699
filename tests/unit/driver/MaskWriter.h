// Writes random masks in the language: comparisons of what indices, positions, extents, scalars and tables give, joined
// by anything that joins. For tests of what the mask analysis concludes from them.
#pragma once

#include <map>
#include <random>
#include <set>
#include <string>

namespace attn::test {

struct WrittenMask {
  std::string parameters;           ///< of the attention: those that the mask uses
  std::string positions;            ///< a definition of `q_pos`, or nothing
  std::string condition;            ///< the right side of `mask =`
  std::set<std::string> kinds;      ///< what it holds, in words: `remainders`, `sorted tables`
};

class MaskWriter {
public:
  explicit MaskWriter(unsigned seed) : random(seed) {}
  WrittenMask write();

private:
  int below(int count) { return static_cast<int>(random() % static_cast<unsigned>(count)); }
  template <typename... Texts> std::string oneOf(Texts... texts);
  std::string constant(int low, int high) { return std::to_string(low + below(high - low + 1)); }
  /// `name` as the mask reads it; declares it.
  std::string parameter(const std::string &name);
  std::string table(const std::string &name, const std::string &index, const std::string &kind);

  std::string leaf();
  std::string affine();
  std::string integer(int depth);
  std::string divisor();
  std::string number();
  std::string comparison(int depth);
  std::string known();
  std::string condition(int depth);

  std::mt19937 random;
  WrittenMask mask;
  std::map<std::string, std::string> used;
};

} // namespace attn::test
