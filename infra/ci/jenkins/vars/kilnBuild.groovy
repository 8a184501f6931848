import groovy.json.JsonSlurperClassic

/**
 * Builds an image on a Kiln farm: kilnBuild(tags: ['registry.example.com/app:1'], push: true, credentialsId: 'kiln').
 * Settings are those of `kiln ci`, with dashes or in camel case; lists are lists, NAME=VALUE settings may be maps.
 *
 * @return imageid, digest, metadata, build-id and build-url
 */
Map call(Map settings = [:]) {
    Map rest = [:] + settings
    String credentialsId = rest.remove('credentialsId')
    String cli = rest.remove('cli') ?: 'kiln'
    List<String> variables = rest.collect { name, value -> "KILN_INPUT_${variableOf(name.toString())}=${textOf(value)}" }
    def build = {
        withEnv(variables + ["KILN_CLI=${cli}"]) {
            sh(script: '"$KILN_CLI" ci jenkins', label: 'kiln build')
        }
    }
    if (credentialsId) {
        withCredentials([string(credentialsId: credentialsId, variable: 'KILN_TOKEN')]) { build() }
    } else {
        build()
    }
    return new JsonSlurperClassic().parseText(readFile('kiln-outputs.json')) as Map
}

/** buildArgs and build-args are BUILD_ARGS. */
private static String variableOf(String name) {
    return name.replaceAll(/([a-z])([A-Z])/, '$1_$2').replace('-', '_').toUpperCase()
}

private static String textOf(Object value) {
    if (value instanceof Map) {
        return value.collect { key, each -> "${key}=${each}" }.join('\n')
    }
    return value instanceof Collection ? value.join('\n') : String.valueOf(value)
}
