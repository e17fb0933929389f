package peer;

import java.util.Map;
import java.util.Objects;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.core.annotation.Order;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClient;
import org.springframework.security.oauth2.client.annotation.RegisteredOAuth2AuthorizedClient;
import org.springframework.security.oauth2.client.oidc.web.logout.OidcClientInitiatedLogoutSuccessHandler;
import org.springframework.security.oauth2.client.registration.ClientRegistrationRepository;
import org.springframework.security.oauth2.core.oidc.user.OidcUser;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtValidators;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** A website, and an API that takes access tokens in three ways. */
@SpringBootApplication
@RestController
public class Program {
    public static void main(String[] args) {
        SpringApplication.run(Program.class, args);
    }

    /** As Boot makes the decoder of {@code issuer-uri}. */
    @Bean @Order(1)
    SecurityFilterChain jwt(HttpSecurity http) throws Exception {
        return http.securityMatcher("/jwt").authorizeHttpRequests(all -> all.anyRequest().authenticated())
            .oauth2ResourceServer(api -> api.jwt(Customizer.withDefaults())).build();
    }

    /** For access tokens by RFC 9068, {@code typ: at+jwt}. */
    @Bean @Order(2)
    SecurityFilterChain atJwt(HttpSecurity http, @Value("${issuer}") String issuer) throws Exception {
        return http.securityMatcher("/at-jwt").authorizeHttpRequests(all -> all.anyRequest().authenticated())
            .oauth2ResourceServer(api -> api.jwt(jwt -> jwt.decoder(atJwtDecoder(issuer)))).build();
    }

    static JwtDecoder atJwtDecoder(String issuer) {
        NimbusJwtDecoder decoder = NimbusJwtDecoder.withIssuerLocation(issuer).validateType(false).build();
        decoder.setJwtValidator(JwtValidators.createAtJwtValidator().issuer(issuer).audience("https://api.example")
            // The builder insists on one client; this takes any.
            .validators(each -> each.put("client_id", new JwtClaimValidator<String>("client_id", Objects::nonNull))).build());
        return decoder;
    }

    @Bean @Order(3)
    SecurityFilterChain opaque(HttpSecurity http) throws Exception {
        return http.securityMatcher("/opaque").authorizeHttpRequests(all -> all.anyRequest().authenticated())
            .oauth2ResourceServer(api -> api.opaqueToken(Customizer.withDefaults())).build();
    }

    @Bean
    SecurityFilterChain website(HttpSecurity http, ClientRegistrationRepository clients) throws Exception {
        OidcClientInitiatedLogoutSuccessHandler out = new OidcClientInitiatedLogoutSuccessHandler(clients);
        out.setPostLogoutRedirectUri("{baseUrl}/bye");
        return http.authorizeHttpRequests(all -> all.requestMatchers("/bye").permitAll().anyRequest().authenticated())
            .oauth2Login(Customizer.withDefaults()).logout(it -> it.logoutSuccessHandler(out)).csrf(it -> it.disable()).build();
    }

    @GetMapping({"/jwt", "/at-jwt", "/opaque"})
    Map<String, String> api(Authentication who) {
        return Map.of("name", who.getName(), "authorities", who.getAuthorities().toString());
    }

    @GetMapping("/")
    Map<String, Object> home(@AuthenticationPrincipal OidcUser person, @RegisteredOAuth2AuthorizedClient("latchkey") OAuth2AuthorizedClient client) {
        return Map.of("email", String.valueOf(person.getEmail()), "nonce", person.getNonce() != null, "access_token", client.getAccessToken().getTokenValue());
    }

    @GetMapping("/bye")
    String bye() {
        return "bye";
    }
}
