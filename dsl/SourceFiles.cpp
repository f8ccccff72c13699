#include "dsl/SourceFiles.h"

#include <algorithm>

namespace attn::dsl {

std::uint32_t SourceFiles::add(std::string name, std::string_view text, bool isPrelude) {
  SourceFile &file = files.emplace_back();
  file.name = std::move(name);
  file.text = text;
  file.isPrelude = isPrelude;
  file.lineStarts.push_back(0);
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n')
      file.lineStarts.push_back(static_cast<std::uint32_t>(i + 1));
  return count() - 1;
}

SourcePosition SourceFiles::positionOf(SourceRange range) const {
  const std::vector<std::uint32_t> &starts = files[range.file].lineStarts;
  auto line = std::upper_bound(starts.begin(), starts.end(), range.begin) - starts.begin();
  return {range.file, static_cast<std::uint32_t>(line), range.begin - starts[line - 1] + 1};
}

std::vector<std::string> SourceFiles::names() const {
  std::vector<std::string> result;
  for (const SourceFile &file : files)
    result.push_back(file.name);
  return result;
}

} // namespace attn::dsl
