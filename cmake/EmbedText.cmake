# cmake -DSOURCES=a;b -DOUTPUT=x.cpp -DHEADER=dir/X.h -DNAMESPACE=a::b -DFUNCTION=text -P EmbedText.cmake
# Writes a source file with a function that returns the texts of SOURCES in sequence.
set(text "")
foreach(source IN LISTS SOURCES)
  file(READ "${source}" part)
  string(APPEND text "${part}")
endforeach()
file(WRITE "${OUTPUT}" "// Generated from ${SOURCES}.
#include \"${HEADER}\"

namespace ${NAMESPACE} {

std::string_view ${FUNCTION}() {
  return R\"embedded(${text})embedded\";
}

} // namespace ${NAMESPACE}
")
