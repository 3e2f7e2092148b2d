package import WeirConfig
import WeirCore

/// Reads phases from YAML: `phases: [{shape: spike, duration: 10s, rate: 500}, …]`.
package struct PhaseFile {
    private static let keys = [
        "name", "shape", "duration", "rate", "clients", "callers", "every", "repeated", "fan_out",
        "poison", "delay", "stall", "kill_every", "arrivals",
    ]

    private let path: String
    private let base: Phase.Base
    private var problems: [Problem] = []

    /// - Parameter base: what a phase does not say.
    /// - Throws: everything that is wrong, with its line.
    package static func read(
        _ bytes: [UInt8], path: String, base: Phase.Base
    ) throws(ConfigurationError) -> [Phase] {
        var file = PhaseFile(path: path, base: base)
        let root: YAMLNode?
        do throws(YAMLDefect) {
            let read = try YAMLReader.read(bytes)
            root = read.root
            for defect in read.repeatedKeys { file.complain(defect.line, nil, defect.text) }
        } catch {
            throw ConfigurationError(
                problems: [Problem(.file(path: path, line: error.line), nil, error.text)])
        }
        let phases = file.phases(root)
        if !file.problems.isEmpty { throw ConfigurationError(problems: file.problems) }
        return phases
    }

    private init(path: String, base: Phase.Base) {
        self.path = path
        self.base = base
    }

    private mutating func complain(_ line: Int, _ key: String?, _ text: String) {
        problems.append(Problem(.file(path: path, line: line), key, text))
    }

    private mutating func phases(_ root: YAMLNode?) -> [Phase] {
        guard case .map(let members)? = root?.content else {
            complain(root?.line ?? 1, nil, "expected phases: and a list under it")
            return []
        }
        var phases: [Phase] = []
        for member in members {
            guard member.key == "phases" else {
                complain(member.line, member.key, "there is no such key; there is phases")
                continue
            }
            guard case .list(let items) = member.value.content, !items.isEmpty else {
                complain(member.line, "phases", "expected a list of phases")
                continue
            }
            for (index, item) in items.enumerated() {
                if let phase = phase(item, index) { phases.append(phase) }
            }
        }
        if phases.isEmpty && problems.isEmpty { complain(1, nil, "there is no phase") }
        return phases
    }

    private mutating func phase(_ node: YAMLNode, _ index: Int) -> Phase? {
        let place = "phases[\(index)]"
        guard case .map(let members) = node.content else {
            complain(node.line, place, "expected a map: {shape: steady, duration: 10s}")
            return nil
        }
        var values: [String: (text: String, line: Int)] = [:]
        for member in members {
            let key = "\(place).\(member.key)"
            guard Self.keys.contains(member.key) else {
                let nearest = nearestName(to: member.key, among: Self.keys) ?? "shape"
                complain(member.line, key, "there is no such key; the nearest is \(nearest)")
                continue
            }
            guard case .scalar(let text) = member.value.content else {
                complain(member.line, key, "expected one value")
                continue
            }
            values[member.key] = (text, member.line)
        }
        let name = values["shape"]?.text ?? "steady"
        guard let shape = Phase.Shape(rawValue: name) else {
            let names = Phase.Shape.allCases.map(\.rawValue)
            complain(
                values["shape"]?.line ?? node.line, "\(place).shape",
                "there is no phase \"\(name)\"; the nearest is "
                    + "\(nearestName(to: name, among: names) ?? "steady"), and there are "
                    + names.joined(separator: ", "))
            return nil
        }
        return phase(shape, values, place)
    }

    private mutating func phase(
        _ shape: Phase.Shape, _ values: [String: (text: String, line: Int)], _ place: String
    ) -> Phase {
        func key(_ name: String) -> String { "\(place).\(name)" }
        var base = base
        func duration(_ name: String, _ file: inout PhaseFile) -> Nanoseconds? {
            guard let (text, line) = values[name] else { return nil }
            guard let duration = Duration(configured: text) else {
                file.complain(line, key(name), "expected a duration such as 10s or 500ms")
                return nil
            }
            return Nanoseconds(duration)
        }
        func number(_ name: String, _ file: inout PhaseFile) -> Double? {
            guard let (text, line) = values[name] else { return nil }
            guard let number = Double(text), number.isFinite, number >= 0 else {
                file.complain(line, key(name), "expected a number")
                return nil
            }
            return number
        }
        func count(_ name: String, _ file: inout PhaseFile) -> Int? {
            guard let number = number(name, &file) else { return nil }
            guard let count = Int(exactly: number) else {
                file.complain(values[name]?.line ?? 1, key(name), "expected a whole number")
                return nil
            }
            return count
        }
        if let span = duration("duration", &self) { base.duration = span }
        if let rate = number("rate", &self) { base.rate = rate }
        if let (text, line) = values["arrivals"] {
            if text != "poisson" && text != "constant" {
                complain(line, key("arrivals"), "expected poisson or constant")
            }
            base.isConstant = text == "constant"
        }
        base.closedCallers = count("clients", &self) ?? base.closedCallers
        base.callers = count("callers", &self) ?? base.callers
        base.every = duration("every", &self) ?? base.every
        var phase = Phase.single(shape, base)
        phase.name = values["name"]?.text ?? phase.name
        phase.repeatedPercent = number("repeated", &self) ?? phase.repeatedPercent
        phase.fanOut = count("fan_out", &self) ?? phase.fanOut
        phase.poisonPercent = number("poison", &self) ?? phase.poisonPercent
        phase.delay = duration("delay", &self) ?? phase.delay
        phase.stall = duration("stall", &self) ?? phase.stall
        phase.killEvery = duration("kill_every", &self) ?? phase.killEvery
        return phase
    }
}
