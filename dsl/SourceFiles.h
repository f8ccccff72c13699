// The texts of one analysis: the main file, what it imports, the prelude, values of `-D`. Maps byte ranges to places.
#pragma once

#include "dsl/Ast.h"
#include "dsl/Token.h"
#include "dsl/TypedSpec.h"

#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace attn::dsl {

struct SourceFile {
  std::string name;
  std::string_view text;                   ///< owned by the caller, who keeps it as long as this
  bool isPrelude = false;
  std::vector<std::uint32_t> lineStarts;
  ast::File tree;
  std::vector<std::uint32_t> imports;      ///< files whose functions this one may call
};

class SourceFiles {
public:
  std::uint32_t add(std::string name, std::string_view text, bool isPrelude = false);
  SourceFile &operator[](std::uint32_t file) { return files[file]; }
  const SourceFile &operator[](std::uint32_t file) const { return files[file]; }
  std::uint32_t count() const { return static_cast<std::uint32_t>(files.size()); }
  /// Line and column of the range's first byte.
  SourcePosition positionOf(SourceRange range) const;
  std::vector<std::string> names() const;

private:
  std::deque<SourceFile> files;
};

} // namespace attn::dsl
