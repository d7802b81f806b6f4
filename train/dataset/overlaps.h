// Internal to verify(): files with the same bytes, or nearly the same words, in more than one place.
#pragma once

#include <vector>

#include "train/dataset/verify.h"

namespace aid::train::dataset {

// The split that stands for a role: ground_truth/muestras for all forms of the ground truth; null where there is none.
const Split* main_split(const Version& version, Role role);

// leak, conflict, repeated, leak_between_versions, relabelled.
std::vector<Finding> find_overlaps(const std::vector<Version>& versions, const VerifyOptions& options,
                                   const ThreadTeam& team);

}  // namespace aid::train::dataset
