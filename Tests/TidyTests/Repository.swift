import Foundation

/// The files of this repository, found from this one.
enum Repository {
    /// The directory that holds `Sources` and `Tests`.
    static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Build products, and directories whose names begin with a dot, are left out.
    private static let skipped: Set<String> = ["node_modules", "__pycache__", "results"]

    private static let byteCountMax = 4 << 20

    /// Paths of all files, from the root.
    static let paths: [String] = {
        var paths: [String] = []
        var pending = [""]
        while let directory = pending.popLast() {
            let url = root.appendingPathComponent(directory)
            let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
            for name in names
            where (!name.hasPrefix(".") || name == ".github") && !skipped.contains(name) {
                let path = directory.isEmpty ? name : directory + "/" + name
                let attributes = try? FileManager.default.attributesOfItem(
                    atPath: root.appendingPathComponent(path).path)
                switch attributes?[.type] as? FileAttributeType {
                case .typeDirectory: pending.append(path)
                case .typeRegular: paths.append(path)
                default: break
                }
            }
        }
        return paths.sorted()
    }()

    /// The text of a file; `nil` if it holds something else.
    static func text(_ path: String) -> String? {
        guard
            let data = FileManager.default.contents(atPath: root.appendingPathComponent(path).path),
            data.count <= byteCountMax
        else { return nil }
        return String(validating: data, as: UTF8.self)
    }

    /// The Swift files of `Sources`, `migrations` and `Tests`.
    static let swiftFiles: [SourceFile] =
        paths
        .filter { path in
            path.hasSuffix(".swift")
                && ["Sources/", "migrations/", "Tests/"].contains(where: path.hasPrefix)
        }
        .compactMap { path in text(path).map { SourceFile(path: path, text: $0) } }

    static let sources = swiftFiles.filter { !$0.isTest }
}
