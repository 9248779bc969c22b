// The version of all programs of this project.
#ifndef KARTOGRAPH_BASE_VERSION_H_
#define KARTOGRAPH_BASE_VERSION_H_

namespace kartograph {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_VERSION_H_
