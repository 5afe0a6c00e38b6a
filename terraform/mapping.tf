# What can be told of a wrong mapping at plan. The functions refuse the rest when they start: see docs/mappings.md.

locals {
  mapping_json = jsonencode(var.mapping)
  # Decoded from one text: rules differ in type, and both sides of a condition must not.
  mapping_rules = jsondecode(var.mapping == null ? "[]" : startswith(local.mapping_json, "[") ? local.mapping_json : "[${local.mapping_json}]")

  mapping_presets = ["snowplow", "segment", "rudderstack", "ga4", "amplitude", "posthog", "mixpanel-export"]
  # By key, what the JSON of its value must look like, and what is said of one that does not.
  text      = "\"([^\"\\\\]|\\\\.)+\""
  texts     = "\\[(${local.text}(,${local.text})*)?\\]"
  paths     = "(${local.text}|\\[${local.text}(,${local.text})*\\])"
  text_map  = "\\{${local.text}:${local.text}(,${local.text}:${local.text})*\\}"
  time_part = "\"(path\":${local.text}|unit\":\"(s|ms|us|ns)\"|zone\":${local.text})"
  an_object = "\\{.+\\}"
  named     = "\\{\"name\":${local.text}(,\"normalize\":(true|false))?\\}"
  mapping_keys = {
    when       = [local.an_object, "an object with object or attributes"]
    format     = ["(\"csv\"|\"tsv\"|${local.an_object})", "csv, tsv or an object with delimiter, header, quote and null"]
    from       = ["\"(${join("|", local.mapping_presets)})\"", "one of ${join(", ", local.mapping_presets)}"]
    event      = ["(${local.text}|\\{\"(value|template)\":${local.text}\\})", "a path, or an object with value or template"]
    time       = ["(${local.text}|\\{${local.time_part}(,${local.time_part})*\\})", "a path, or an object with path, unit (s, ms, us, ns) and zone"]
    user       = [local.paths, "a path or several"]
    device     = [local.paths, "a path or several"]
    insertId   = [local.paths, "a path or several"]
    ip         = [local.text, "a path"]
    properties = [local.paths, "\"*\", a path or several"]
    params     = [local.text, "a path"]
    rename     = [local.text_map, "an object from paths to names"]
    number     = [local.texts, "a list of names"]
    boolean    = [local.texts, "a list of names"]
    json       = [local.texts, "a list of names"]
    pick       = [local.texts, "a list of names"]
    drop       = [local.texts, "a list of names"]
    hash       = ["\\[((${local.text}|${local.named})(,(${local.text}|${local.named}))*)?\\]", "a list of names, or of objects with name and normalize"]
    skip       = [local.texts, "a list of names of events"]
    identity   = ["\"(simplified|original)\"", "simplified or original"]
    refuse     = ["true", "true"]
  }

  mapping_problems = concat(
    flatten([
      for index, rule in local.mapping_rules : concat(
        can(keys(rule)) ? [] : ["mapping[${index}] must be an object"],
        [
          for key in try(keys(rule), []) :
          contains(keys(local.mapping_keys), key) ? "mapping[${index}].${key} must be ${local.mapping_keys[key][1]}" : "mapping[${index}].${key} is not a key of a rule: allowed are ${join(", ", keys(local.mapping_keys))}"
          if !can(regex("^${local.mapping_keys[key][0]}$", jsonencode(rule[key])))
        ],
        [
          for key in try(keys(rule.when), []) :
          "mapping[${index}].when.${key} is not a condition: allowed are object, attributes"
          if !contains(["object", "attributes"], key)
        ],
        length(try(keys(rule.when), [])) > 1 ? ["mapping[${index}].when may have object or attributes, as no record has both"] : [],
        [
          for key in try(keys(rule.format), []) :
          "mapping[${index}].format.${key} is not known: allowed are delimiter, header, quote, null"
          if !contains(["delimiter", "header", "null", "quote"], key)
        ],
        # A rule that makes events says of which and when; one that refuses, or works on Mixpanel's own events, neither.
        can(rule.from) || can(rule.event) == can(rule.time) ? [] : ["mapping[${index}] must have both event and time, or neither"],
        can(rule.refuse) && length(setsubtract(try(keys(rule), []), ["refuse", "when"])) > 0 ? ["mapping[${index}].refuse stands beside other keys, but makes no events"] : [],
        index < length(local.mapping_rules) - 1 && !can(rule.when) ? ["mapping[${index}] has no when, so the rules after it never count: put it last"] : [],
      )
    ]),
    anytrue([for rule in local.mapping_rules : length(try(rule.hash, [])) > 0]) && var.hash_key_secret == null ? ["a mapping that hashes needs hash_key_secret"] : [],
    length(local.mapping_json) > 30000 ? ["it must be at most 30,000 bytes of JSON, as it is an environment variable"] : [],
    var.mapping != null && length(local.mapping_rules) == 0 ? ["it must have a rule, or be null"] : [],
  )
}
