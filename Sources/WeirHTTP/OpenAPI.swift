/// `GET /openapi.json`, compiled in from OpenAPI/openapi.json.
enum OpenAPI {
    static func document(version: String) -> [UInt8] {
        let text = String(decoding: PackageResources.openapi_json, as: UTF8.self)
        return Array(text.replacing("VERSION", with: version, maxReplacements: 1).utf8)
    }
}
