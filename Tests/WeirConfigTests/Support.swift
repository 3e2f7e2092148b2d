import WeirConfig

/// What a file, an environment and flags make together, or what is wrong with them.
func load(
    _ yaml: String? = nil, environment: [String: String] = [:], flags: [String: String] = [:],
    isEmbedded: Bool = false
) -> Result<EffectiveConfiguration, ConfigurationError> {
    var input = ConfigurationInput()
    if let yaml { input.file = ("weir.yaml", Array(yaml.utf8)) }
    input.environment = environment
    input.flags = flags
    input.isEmbedded = isEmbedded
    return Result { () throws(ConfigurationError) in try EffectiveConfiguration(input) }
}

/// What is wrong, one line each.
func problems(
    _ yaml: String? = nil, environment: [String: String] = [:], flags: [String: String] = [:],
    isEmbedded: Bool = false
) -> [String] {
    switch load(yaml, environment: environment, flags: flags, isEmbedded: isEmbedded) {
    case .success: []
    case .failure(let error): error.problems.map(\.description)
    }
}
