// The YAML file of --config.
#ifndef KARTOGRAPH_SERVICE_CONFIG_CONFIG_FILE_H_
#define KARTOGRAPH_SERVICE_CONFIG_CONFIG_FILE_H_

#include <string>
#include <vector>

#include "service/config/config.h"

namespace kartograph::service {

// Reads the file into `config`. Every problem is a line of the form FILE:LINE: what.
void ReadConfigFile(const std::string& path, ServiceConfig& config,
                    std::vector<std::string>& problems);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CONFIG_CONFIG_FILE_H_
