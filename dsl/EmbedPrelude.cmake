# cmake -DSOURCES=a.attn;b.attn -DOUTPUT=Prelude.cpp -P EmbedPrelude.cmake
set(text "")
foreach(source IN LISTS SOURCES)
  file(READ "${source}" part)
  string(APPEND text "${part}")
endforeach()
file(WRITE "${OUTPUT}" "// Generated from dsl/prelude.
#include \"dsl/Prelude.h\"

namespace attn::dsl {

std::string_view preludeText() {
  return R\"prelude(${text})prelude\";
}

} // namespace attn::dsl
")
