#ifndef KARTOGRAPH_SERVICE_VERSION_H_
#define KARTOGRAPH_SERVICE_VERSION_H_

namespace kartograph::service {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_VERSION_H_
